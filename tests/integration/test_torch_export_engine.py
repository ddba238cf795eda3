"""The torch.export engine: files that run at any declared size, with the names that the call gives them."""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from onnx_export_action.exporting.engines.torch_export import record
from onnx_export_action.graphs.weightless import WeightlessGraph
from onnx_export_action.graphs.writing import write_graph
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.registry import TasksManager
from onnx_export_action.traceable.calling import ModelCall, model_call, run_flat
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.results import Stage
from tests.conftest import CheckpointFactory

ROWS = {0: "batch_size", 1: "sequence_length"}

Tensors = dict[str, torch.Tensor]


def call_of(
    module: torch.nn.Module | Callable[..., Any], inputs: Tensors, outputs: Mapping[str, dict[int, str]], **axes: Any
) -> ModelCall:
    """A call of ``module`` whose inputs have the axes ``ROWS`` unless ``axes`` says otherwise."""
    if not isinstance(module, torch.nn.Module):
        module = Functional(module)
    dynamic_axes = {name: axes.get(name, ROWS) for name in inputs} | dict(outputs)
    return ModelCall(module, list(inputs), list(outputs), inputs, dynamic_axes)


class Functional(torch.nn.Module):
    """A model without weights."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs = self.function(*tensors)
        return outputs if isinstance(outputs, tuple) else (outputs,)


def captured(call: ModelCall, opset: int) -> WeightlessGraph:
    return record(call, opset).graph


def session_of(graph: WeightlessGraph, folder: Path) -> onnxruntime.InferenceSession:
    path = folder / "model.onnx"
    write_graph(graph, path)
    onnx.checker.check_model(path)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def signature(session: onnxruntime.InferenceSession) -> dict[str, list[int | str]]:
    return {value.name: value.shape for value in (*session.get_inputs(), *session.get_outputs())}


def assert_equal(session: onnxruntime.InferenceSession, call: ModelCall, inputs: Tensors) -> None:
    expected = run_flat(call.module, [inputs[name] for name in call.input_names])
    found = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    for name, theirs, ours in zip(call.output_names, expected, found, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-4, err_msg=name)


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


# A decoder with a cache: one graph for the prompt and for every later token.


@pytest.fixture(scope="module")
def gpt2(checkpoint: CheckpointFactory) -> tuple[ModelCall, OnnxConfig]:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(checkpoint("gpt2", num_hidden_layers=1)).eval()
    constructor = TasksManager.get_exporter_config_constructor("onnx", model_type="gpt2", task="text-generation")
    onnx_config = constructor(model.config, use_past=True)
    return model_call(model, onnx_config, onnx_config.generate_dummy_inputs("pt")), onnx_config


@pytest.fixture(scope="module")
def gpt2_graph(gpt2: tuple[ModelCall, OnnxConfig]) -> WeightlessGraph:
    return captured(gpt2[0], opset=18)


@pytest.mark.parametrize(
    ("shapes", "padding"),
    [
        ({"batch_size": 1, "sequence_length": 1, "past_sequence_length": 0}, "none"),
        ({"batch_size": 3, "sequence_length": 7, "past_sequence_length": 0}, "left"),
        ({"batch_size": 2, "sequence_length": 1, "past_sequence_length": 9}, "none"),
        ({"batch_size": 4, "sequence_length": 2, "past_sequence_length": 1}, "mixed"),
        ({"batch_size": 1, "sequence_length": 30, "past_sequence_length": 20}, "right"),
    ],
)
def test_a_decoder_runs_from_an_empty_and_a_filled_cache(
    gpt2: tuple[ModelCall, OnnxConfig],
    gpt2_graph: WeightlessGraph,
    tmp_path: Path,
    shapes: dict[str, int],
    padding: str,
) -> None:
    call, onnx_config = gpt2
    session = session_of(gpt2_graph, tmp_path)
    assert_equal(session, call, onnx_config.generate_dummy_inputs("pt", seed=5, padding=padding, **shapes))


def test_names_and_axes_are_those_of_the_configuration(
    gpt2: tuple[ModelCall, OnnxConfig], gpt2_graph: WeightlessGraph, tmp_path: Path
) -> None:
    onnx_config = gpt2[1]
    session = session_of(gpt2_graph, tmp_path)
    assert [value.name for value in session.get_inputs()] == list(onnx_config.inputs)
    assert [value.name for value in session.get_outputs()] == list(onnx_config.outputs)
    found = {
        name: {axis: size for axis, size in enumerate(shape) if isinstance(size, str)}
        for name, shape in signature(session).items()
    }
    assert found == {name: dict(axes) for name, axes in (*onnx_config.inputs.items(), *onnx_config.outputs.items())}


def test_weights_have_the_names_of_the_state_dict_and_tied_ones_are_stored_once(
    gpt2: tuple[ModelCall, OnnxConfig], gpt2_graph: WeightlessGraph
) -> None:
    model = gpt2[0].module.model
    head = model.lm_head.weight
    copies = [name for name, weight in gpt2_graph.weights.items() if sorted(weight.shape) == sorted(head.shape)]
    assert copies == ["transformer.wte.weight"]
    assert gpt2_graph.weights["transformer.wte.weight"].tensor.data_ptr() == head.data_ptr()
    names = {name.removesuffix("_transposed") for name in gpt2_graph.weights}
    assert names <= set(model.state_dict()) | {name for name, _ in model.named_buffers()}


def test_nodes_are_named_after_their_modules(gpt2_graph: WeightlessGraph) -> None:
    names = [node.name for node in gpt2_graph.model.graph.node]
    assert "/model/transformer/h.0/ln_1/LayerNormalization" in names
    assert len(set(names)) == len(names)


def test_the_file_tells_nothing_of_the_machine_it_was_made_on(gpt2_graph: WeightlessGraph) -> None:
    content = gpt2_graph.model.SerializeToString()
    for trace in (b".py", b"site-packages", str(Path(sys.prefix).parent).encode()):
        assert trace not in content


# What the tracer cannot do.


def test_a_mixture_of_experts(tmp_path: Path) -> None:
    from transformers import MixtralConfig, MixtralForCausalLM

    torch.manual_seed(0)
    model = MixtralForCausalLM(
        MixtralConfig(
            vocab_size=60,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=4,
            num_key_value_heads=2,
            num_local_experts=4,
            initializer_range=0.5,
        )
    ).eval()

    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor]:
            return (self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits,)

    def inputs(batch: int, length: int) -> Tensors:
        mask = torch.ones(batch, length, dtype=torch.int64)
        mask[0, : length // 2] = 0
        return {"input_ids": torch.arange(batch * length).reshape(batch, length) * 7 % 60, "attention_mask": mask}

    call = call_of(Flat(), inputs(2, 6), {"logits": ROWS})
    session = session_of(captured(call, opset=18), tmp_path)
    for batch, length in ((1, 1), (3, 9), (2, 20)):
        assert_equal(session, call, inputs(batch, length))


# Names and axes in graphs that invite confusion.


def test_inputs_and_outputs_keep_their_names_whatever_the_model_does_with_them(tmp_path: Path) -> None:
    def passes_on(first: torch.Tensor, second: torch.Tensor, unused: torch.Tensor) -> tuple[torch.Tensor, ...]:
        total = first.exp() + second.sum(1, keepdim=True).tanh()
        return first, total, total, torch.ones(2, 3), total * 2

    # "sum_1", "exp" and "tanh" are what torch.export calls the values inside; "input_0" is what the engine calls one.
    inputs = {"sum_1": numbers(2, 5), "past.0.key": numbers(2, 5), "unused": numbers(2, 5)}
    outputs = {"unchanged": ROWS, "output_0": ROWS, "tanh": ROWS, "exp": {}, "input_0": ROWS}
    call = call_of(passes_on, inputs, outputs)
    session = session_of(captured(call, opset=18), tmp_path)
    assert list(signature(session)) == [*inputs, *outputs]
    assert signature(session)["exp"] == [2, 3]
    assert_equal(session, call, {name: numbers(3, 4 + index)[:, :4] for index, name in enumerate(inputs)})


def test_an_axis_that_nobody_declared_is_described_in_declared_names(tmp_path: Path) -> None:
    call = call_of(lambda rows: torch.cat([rows, rows], dim=1), {"rows": numbers(2, 5)}, {"twice": {0: "batch_size"}})
    session = session_of(captured(call, opset=18), tmp_path)
    assert signature(session)["twice"] == ["batch_size", "2*sequence_length"]


@pytest.mark.parametrize(
    ("function", "place"),
    [
        pytest.param(lambda rows: rows.sum(1) * rows.shape[1].__index__(), "rows[1] (sequence_length)", id="input"),
        pytest.param(lambda rows: rows.sum(1, keepdim=True)[:, 0][:1], "result[0] (batch_size)", id="output"),
    ],
)
def test_an_axis_that_came_out_fixed_is_named(function: Callable[..., Any], place: str) -> None:
    call = call_of(function, {"rows": numbers(2, 5)}, {"result": {0: "batch_size"}})
    with pytest.raises(ExportError) as raised:
        captured(call, opset=18)
    assert place in raised.value.message
    assert raised.value.stage is Stage.EXPORT


def test_an_axis_that_is_declared_but_does_not_exist_is_named() -> None:
    call = call_of(lambda rows: rows.sum(1), {"rows": numbers(2, 5)}, {"result": ROWS})
    with pytest.raises(ExportError, match=r"result\[1\] \(sequence_length\) does not exist"):
        captured(call, opset=18)


# Weights.


class Projection(torch.nn.Module):
    """An embedding and a projection whose parameters are two objects over one memory, and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.model = torch.nn.Module()
        self.model.embedding = torch.nn.Embedding(300, 16)
        self.model.head = torch.nn.Linear(16, 300, bias=False)
        self.model.head.weight = torch.nn.Parameter(self.model.embedding.weight.data)
        self.model.dropout = torch.nn.Dropout(0.5)

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.model.dropout(self.model.head(self.model.embedding(rows))),)


@pytest.fixture
def projection() -> ModelCall:
    torch.manual_seed(0)
    return call_of(Projection().eval(), {"rows": torch.arange(10).reshape(2, 5)}, {"logits": ROWS})


def test_weights_that_share_memory_are_stored_once(projection: ModelCall, tmp_path: Path) -> None:
    graph = captured(projection, opset=18)
    assert list(graph.weights) == ["embedding.weight"]
    assert_equal(session_of(graph, tmp_path), projection, {"rows": torch.arange(21).reshape(3, 7)})
    assert (tmp_path / "model.onnx").stat().st_size < 1.5 * 300 * 16 * 4


def test_a_model_in_training_is_exported_without_dropout_and_stays_in_training(
    projection: ModelCall, tmp_path: Path
) -> None:
    projection.module.train()
    projection.module.model.head.eval()
    graph = captured(projection, opset=18)
    assert projection.module.training
    assert not projection.module.model.head.training
    projection.module.eval()
    assert_equal(session_of(graph, tmp_path), projection, {"rows": torch.arange(21).reshape(3, 7)})


def test_the_same_model_gives_the_same_file(projection: ModelCall, tmp_path: Path) -> None:
    digests = set()
    for name in ("first", "second"):
        path = tmp_path / name
        write_graph(captured(projection, opset=18), path)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1


# Opsets.


@pytest.mark.parametrize("opset", [20, 22])
def test_the_file_has_the_opset_that_was_asked_for(projection: ModelCall, tmp_path: Path, opset: int) -> None:
    graph = captured(projection, opset=opset)
    assert [entry.version for entry in graph.model.opset_import if entry.domain == ""] == [opset]
    assert_equal(session_of(graph, tmp_path), projection, {"rows": torch.arange(8).reshape(1, 8)})


@pytest.mark.parametrize("opset", [11, 17, 99])
def test_an_opset_it_cannot_write_is_refused(projection: ModelCall, opset: int) -> None:
    with pytest.raises(ExportError, match=f"opset {opset}|{opset} was asked for") as raised:
        captured(projection, opset=opset)
    assert raised.value.stage is Stage.EXPORT
    assert raised.value.hint is not None
    assert "18" in raised.value.hint


# Failures, in words.


def test_a_model_that_cannot_be_exported_says_why_and_where(capfd: pytest.CaptureFixture[str]) -> None:
    from transformers import LongformerConfig, LongformerModel

    model = LongformerModel(
        LongformerConfig(
            vocab_size=60,
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=4,
            attention_window=4,
            max_position_embeddings=64,
        )
    ).eval()
    rows = torch.arange(2, 18).reshape(2, 8)
    capfd.readouterr()
    with pytest.raises(ExportError) as raised:
        captured(call_of(lambda ids: model(ids)[0], {"input_ids": rows}, {"last_hidden_state": ROWS}), opset=18)
    assert raised.value.stage is Stage.EXPORT
    assert "data-dependent expression" in raised.value.message
    assert "modeling_longformer.py:" in raised.value.message
    assert "\n" not in raised.value.message
    # torch prints the whole graph when an export fails.
    assert capfd.readouterr() == ("", "")


def test_an_operator_without_an_onnx_form_is_named() -> None:
    call = call_of(lambda rows: torch.linalg.eigvals(rows @ rows.T).real, {"rows": numbers(3, 3)}, {"result": {}})
    with pytest.raises(ExportError, match=r"aten\.linalg_eig"):
        captured(call, opset=18)


def test_an_error_of_the_models_own_code_is_passed_on() -> None:
    def refuse(rows: torch.Tensor) -> torch.Tensor:
        raise ValueError("images must be square\n\nand a long explanation")

    with pytest.raises(ExportError) as raised:
        captured(call_of(refuse, {"rows": numbers(2, 5)}, {"result": ROWS}), opset=18)
    assert raised.value.message == "torch.export failed: ValueError: images must be square"


def test_nothing_is_printed_or_logged_and_logging_is_left_as_it_was(
    projection: ModelCall, capfd: pytest.CaptureFixture[str]
) -> None:
    logged: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = logged.append
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "transformers.exporters")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
    capfd.readouterr()
    try:
        captured(projection, opset=18)
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
    assert capfd.readouterr() == ("", "")
    assert logged == []
    assert [logger.level for logger in loggers] == levels


def test_a_worker_that_leaves_at_once_leaves_nothing_behind() -> None:
    script = """
import multiprocessing, os, torch
from onnx_export_action.traceable.calling import ModelCall
from onnx_export_action.exporting.engines.torch_export import record

class Double(torch.nn.Module):
    def forward(self, rows):
        return (rows * 2,)

multiprocessing.set_start_method("forkserver")  # as a program around ours may
axes = {0: "batch_size"}
record(ModelCall(Double(), ["rows"], ["twice"], {"rows": torch.ones(2, 3)}, {"rows": axes, "twice": axes}), 18)
os._exit(0)
"""
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=True)
    assert finished.stdout == ""
    assert "leaked" not in finished.stderr
