"""The functions for models in memory: what they leave alone, what they refuse, and what they find out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from onnx_export_action import (
    OnnxConfig,
    TasksManager,
    ValidationError,
    convert_to_onnx,
    export,
    validate_model_outputs,
)
from onnx_export_action.onnx_config import BertOnnxConfig
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.results import Verdict
from tests.conftest import CheckpointFactory

Exported = tuple[Any, OnnxConfig, Path]
Edit = Callable[[onnx.ModelProto], None]


def load(folder: Path, task: str) -> Any:
    return TasksManager.get_model_class_for_task(task).from_pretrained(folder)


@pytest.fixture(scope="module")
def classifier(checkpoint: CheckpointFactory, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A model, its configuration and its right file."""
    model = load(checkpoint("bert"), "text-classification")
    onnx_config = BertOnnxConfig(model.config, task="text-classification")
    path = tmp_path_factory.mktemp("classifier") / "model.onnx"
    export(model, onnx_config, path, onnx_config.DEFAULT_ONNX_OPSET)
    return model, onnx_config, path


@pytest.fixture
def edited(classifier: Exported, tmp_path: Path) -> Callable[[Edit], Path]:
    """A copy of the right file after an edit."""

    def edit(change: Edit) -> Path:
        model = onnx.load(classifier[2])
        change(model)
        path = tmp_path / "edited.onnx"
        onnx.save(model, path)
        return path

    return edit


def change_weight(name: str, change: Callable[[np.ndarray[Any, Any]], None]) -> Edit:
    def edit(model: onnx.ModelProto) -> None:
        tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
        array = numpy_helper.to_array(tensor).copy()
        change(array)
        tensor.CopyFrom(numpy_helper.from_array(array, name))

    return edit


# --- what is found out ------------------------------------------------------------------------------------------------


def test_a_right_file_passes_with_any_kind_of_tolerance(classifier: Exported) -> None:
    model, onnx_config, path = classifier
    for atol in (None, 1e-4, {"logits": 1e-5}):
        assert validate_model_outputs(onnx_config, model, path, ["logits"], atol) is None


def test_a_changed_weight_is_named_with_case_error_and_tolerance(
    classifier: Exported, edited: Callable[[Edit], Path]
) -> None:
    model, onnx_config, _ = classifier

    def add(array: np.ndarray[Any, Any]) -> None:
        array += 0.01

    path = edited(change_weight("classifier.bias", add))
    with pytest.raises(ValidationError, match=r"logits differs by up to 1\.00e-02") as caught:
        validate_model_outputs(onnx_config, model, path, ["logits"], 1e-4)
    assert "base" in str(caught.value) or "=" in str(caught.value)
    assert "tolerance of logits: 0.0001 + 0.0001 * |value|" in str(caught.value)
    assert caught.value.result is not None
    assert len(caught.value.result.cases) >= 8
    validate_model_outputs(onnx_config, model, path, ["logits"], 0.02)


def test_an_error_beyond_the_traced_length_is_found(classifier: Exported, edited: Callable[[Edit], Path]) -> None:
    model, onnx_config, _ = classifier

    def spoil(array: np.ndarray[Any, Any]) -> None:
        array[30:] = 0.0

    path = edited(change_weight("bert.embeddings.position_embeddings.weight", spoil))
    with pytest.raises(ValidationError, match="differs by up to") as caught:
        validate_model_outputs(onnx_config, model, path, ["logits"], 1e-4)
    assert caught.value.result is not None
    failing = {case.shape["sequence_length"] for case in caught.value.result.cases if case.verdict is Verdict.FAIL}
    passing = {case.shape["sequence_length"] for case in caught.value.result.cases if case.verdict is Verdict.PASS}
    assert min(failing) > 30 >= max(size for size in passing if size not in failing)


def test_nan_is_found(classifier: Exported, edited: Callable[[Edit], Path]) -> None:
    model, onnx_config, _ = classifier

    def spoil(array: np.ndarray[Any, Any]) -> None:
        array[0] = np.nan

    path = edited(change_weight("classifier.bias", spoil))
    with pytest.raises(ValidationError, match="NaN or Inf where PyTorch has none"):
        validate_model_outputs(onnx_config, model, path, ["logits"], 1e-4)


def test_a_renamed_output_is_found(classifier: Exported, edited: Callable[[Edit], Path]) -> None:
    model, onnx_config, _ = classifier

    def rename(graph: onnx.ModelProto) -> None:
        graph.graph.output[0].name = "scores"
        for node in graph.graph.node:
            node.output[:] = ["scores" if name == "logits" else name for name in node.output]

    with pytest.raises(ValidationError, match="no output named logits"):
        validate_model_outputs(onnx_config, model, edited(rename), ["logits"], 1e-4)


@pytest.mark.parametrize("names", [["last_hidden_state"], ["logits", "pooler_output"], []])
def test_output_names_that_the_configuration_does_not_have(classifier: Exported, names: list[str]) -> None:
    model, onnx_config, path = classifier
    with pytest.raises(ValidationError, match="has the outputs: logits"):
        validate_model_outputs(onnx_config, model, path, names, 1e-4)


def test_a_fixed_axis_is_found(classifier: Exported, edited: Callable[[Edit], Path]) -> None:
    model, onnx_config, _ = classifier

    def fix(graph: onnx.ModelProto) -> None:
        for value in graph.graph.input:
            value.type.tensor_type.shape.dim[1].dim_value = 16

    with pytest.raises(ValidationError, match=r"axis 1 .* is fixed at 16"):
        validate_model_outputs(onnx_config, model, edited(fix), ["logits"], 1e-4)


def test_a_file_that_is_no_model_is_refused(classifier: Exported, tmp_path: Path) -> None:
    model, onnx_config, path = classifier
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValidationError, match="ONNX Runtime does not load the file"):
        validate_model_outputs(onnx_config, model, broken, ["logits"], 1e-4)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        validate_model_outputs(onnx_config, model, tmp_path / "missing.onnx", ["logits"], 1e-4)


def test_a_model_whose_output_never_varies_proves_nothing(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    model = load(checkpoint("bert"), "text-classification")
    torch.nn.init.zeros_(model.classifier.weight)
    onnx_config = BertOnnxConfig(model.config, task="text-classification")
    _, names = export(model, onnx_config, tmp_path / "model.onnx")
    with pytest.raises(ValidationError, match="vacuous for logits"):
        validate_model_outputs(onnx_config, model, tmp_path / "model.onnx", names, 1e-4)


@pytest.mark.parametrize("atol", [0.0, -1.0, float("nan"), float("inf")])
def test_a_tolerance_that_is_none_is_refused(classifier: Exported, atol: float) -> None:
    model, onnx_config, path = classifier
    with pytest.raises(ExportError, match="atol must be above 0"):
        validate_model_outputs(onnx_config, model, path, ["logits"], atol)


# --- other kinds of models --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        ("gpt2", "text-generation-with-past"),
        ("bert", "question-answering"),
        ("vit", "image-classification"),
        ("wav2vec2", "automatic-speech-recognition"),
    ],
)
def test_kinds_of_models(checkpoint: CheckpointFactory, tmp_path: Path, kind: str, task: str) -> None:
    from transformers import AutoModelForCTC

    folder = checkpoint(kind, task=task.removesuffix("-with-past"))
    model = AutoModelForCTC.from_pretrained(folder) if kind == "wav2vec2" else load(folder, task)
    onnx_config = TasksManager.get_exporter_config_constructor("onnx", model, task=task)(model.config)
    inputs, outputs = export(model, onnx_config, tmp_path / "model.onnx")
    assert (inputs, outputs) == (list(onnx_config.inputs), list(onnx_config.outputs))
    validate_model_outputs(onnx_config, model, tmp_path / "model.onnx", outputs, onnx_config.ATOL_FOR_VALIDATION)


def test_an_encoder_decoder_in_parts_and_whole(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    model = load(checkpoint("bart"), "text2text-generation")
    whole = TasksManager.get_exporter_config_constructor("onnx", model)(model.config)
    parts = [
        whole,
        whole.get_encoder_onnx_config(model.config),
        whole.get_decoder_onnx_config(model.config, task="text2text-generation"),
        whole.get_decoder_onnx_config(model.config, task="text2text-generation", use_past=True),
    ]
    for part in parts:
        path = tmp_path / f"{part.kind.value}.onnx"
        _, names = export(model, part, path)
        validate_model_outputs(part, model, path, names)


# --- what is left alone -----------------------------------------------------------------------------------------------


def test_the_model_is_left_as_it_was(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    model = load(checkpoint("gpt2"), "text-generation")
    model.train()
    model.transformer.h[0].eval()
    modes = [module.training for module in model.modules()]
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    settings = model.generation_config
    onnx_config = TasksManager.get_exporter_config_constructor("onnx", model, task="text-generation-with-past")(
        model.config
    )
    _, names = export(model, onnx_config, tmp_path / "model.onnx")
    validate_model_outputs(onnx_config, model, tmp_path / "model.onnx", names)
    assert [module.training for module in model.modules()] == modes
    assert model.generation_config is settings
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())


def test_a_model_in_bfloat16_becomes_a_float32_file(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    model = load(checkpoint("bert"), "text-classification").to(torch.bfloat16)
    onnx_config = BertOnnxConfig(model.config, task="text-classification")
    with pytest.warns(UserWarning, match="bfloat16; a float32 copy of it is used"):
        _, names = export(model, onnx_config, tmp_path / "model.onnx")
    kinds = {tensor.data_type for tensor in onnx.load(tmp_path / "model.onnx").graph.initializer}
    assert onnx.TensorProto.BFLOAT16 not in kinds
    with pytest.warns(UserWarning, match="bfloat16"):
        validate_model_outputs(onnx_config, model, tmp_path / "model.onnx", names, 1e-5)
    assert model.dtype is torch.bfloat16


class Unexportable(torch.nn.Module):
    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        message = "this model never runs"
        raise RuntimeError(message)


def test_a_failed_export_leaves_the_earlier_file_and_stdout_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"earlier")
    with pytest.raises(ExportError, match="this model never runs"):
        convert_to_onnx(Unexportable(), path, {"input_ids": torch.ones(2, 4, dtype=torch.int64)})
    assert path.read_bytes() == b"earlier"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]
    assert capfd.readouterr().out == ""


def test_a_trace_that_fails_prints_no_graph(
    checkpoint: CheckpointFactory, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = load(checkpoint("bert"), "text-classification")
    with pytest.raises(ExportError, match="the tracer failed"):
        convert_to_onnx(model, tmp_path / "model.onnx", {"input_ids": torch.ones(2, 4, dtype=torch.int64)}, opset=8)
    assert capfd.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []


# --- arguments --------------------------------------------------------------------------------------------------------


def test_arguments_by_the_names_of_either_library(classifier: Exported, tmp_path: Path) -> None:
    model, onnx_config, _ = classifier
    path = tmp_path / "model.onnx"
    export(model=model, config=onnx_config, output=path, opset=17)
    export(preprocessor=None, model=model, config=onnx_config, opset=17, output=path)
    export(None, model, onnx_config, 17, path)
    assert [entry.version for entry in onnx.load(path).opset_import if entry.domain == ""] == [17]
    validate_model_outputs(
        config=onnx_config, reference_model=model, onnx_model=path, onnx_named_outputs=["logits"], atol=1e-4
    )


def test_arguments_in_no_order_say_which_there_are(classifier: Exported, tmp_path: Path) -> None:
    model, onnx_config, path = classifier
    with pytest.raises(TypeError, match=r"call export\(base_model, onnx_config, path, opset\) or export\(tokenizer"):
        export(onnx_config, model, path)
    with pytest.raises(TypeError, match=r"got \(BertForSequenceClassification, BertOnnxConfig, .*colour=str\)"):
        export(model, onnx_config, path, colour="red")
    with pytest.raises(ExportError, match="unknown engine 'trace'"):
        export(model, onnx_config, path, engine="trace")
    with pytest.raises(ExportError, match="is a folder"):
        export(model, onnx_config, tmp_path)
    with pytest.raises(ExportError, match="the model is on meta"):
        export(torch.nn.Linear(2, 2, device="meta"), onnx_config, path)


def test_the_package_is_light_until_a_function_is_used() -> None:
    code = (
        "import sys, onnx_export_action as package\n"
        "package.TasksManager, package.OnnxConfig, package.onnx_config.BertOnnxConfig\n"
        "print('torch' in sys.modules)\n"
        "import onnx_export_action.exporting.exporter\n"
        "from onnx_export_action import export, validate_model_outputs\n"
        "print(callable(export), callable(validate_model_outputs))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True", "True"]
