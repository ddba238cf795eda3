"""A test of the test: good files pass; files broken in the ways that reach production are accused, with the cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnx_export_action.export.exporter import export_target
from onnx_export_action.project.manifest import OnnxFileRecord
from onnx_export_action.project.plan import Job, OutputTolerance
from onnx_export_action.results import FileResult, Verdict
from onnx_export_action.stages import Request, plan_job
from onnx_export_action.validation.candidate import check_file
from onnx_export_action.validation.records import CandidateFile, ReferenceReader
from onnx_export_action.validation.reference import make_reference
from tests.conftest import CheckpointFactory


@dataclass(frozen=True)
class Proven:
    """An export and the reference that it was proven with."""

    job: Job
    folder: Path
    references: Path
    files: list[OnnxFileRecord]

    def check(self, path: Path, **changes: object) -> FileResult:
        record = self.files[0]
        asked = CandidateFile(
            path=path,
            name="model.onnx",
            components=record.components,
            engine=record.engine,
            opset=record.opset,
            **changes,
        )
        return check_file(self.job, asked, self.references).result

    def model(self) -> onnx.ModelProto:
        return onnx.load(self.folder / self.files[0].path)


def _proven(checkpoint: Path, root: Path, task: str) -> Proven:
    job = plan_job(Request(name="target", model=str(checkpoint), destination=root / "destination", task=task))
    folder, references = root / "files", root / "references"
    folder.mkdir()
    references.mkdir()
    outcome = export_target(job, folder, "tracer")
    make_reference(job, references)
    return Proven(job, folder, references, outcome.files)


@pytest.fixture(scope="session")
def encoder(checkpoint: CheckpointFactory, tmp_path_factory: pytest.TempPathFactory) -> Proven:
    model = checkpoint("bert", task="feature-extraction")
    return _proven(model, tmp_path_factory.mktemp("encoder"), "feature-extraction")


@pytest.fixture(scope="session")
def decoder(checkpoint: CheckpointFactory, tmp_path_factory: pytest.TempPathFactory) -> Proven:
    model = checkpoint("gpt2", task="text-generation")
    return _proven(model, tmp_path_factory.mktemp("decoder"), "text-generation-with-past")


def initializer(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(tensor for tensor in model.graph.initializer if name in tensor.name)


def change(tensor: onnx.TensorProto, function: Callable[[np.ndarray], np.ndarray]) -> None:
    changed = function(numpy_helper.to_array(tensor).copy()).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))


def set_axis(model: onnx.ModelProto, name: str, axis: int, size: int) -> None:
    value = next(value for value in model.graph.input if value.name == name)
    value.type.tensor_type.shape.dim[axis].dim_value = size


def zero_row(tensor: np.ndarray) -> np.ndarray:
    tensor[3] = 0.0
    return tensor


def fix_batch(model: onnx.ModelProto) -> None:
    set_axis(model, "input_ids", 0, 2)


def fix_length(model: onnx.ModelProto) -> None:
    set_axis(model, "attention_mask", 1, 16)


def ignore_mask(model: onnx.ModelProto) -> None:
    ones = [
        helper.make_node("Shape", ["attention_mask"], ["mask_shape"]),
        helper.make_node(
            "ConstantOfShape",
            ["mask_shape"],
            ["all_valid"],
            value=helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        ),
    ]
    for other in model.graph.node:
        other.input[:] = ["all_valid" if each == "attention_mask" else each for each in other.input]
    for node in reversed(ones):
        model.graph.node.insert(0, node)


def drop_output(model: onnx.ModelProto) -> None:
    model.graph.output.pop()


def rename_output(model: onnx.ModelProto) -> None:
    old = model.graph.output[0].name
    model.graph.node.append(helper.make_node("Identity", [old], ["hidden"]))
    model.graph.output[0].name = "hidden"


def not_a_number(model: onnx.ModelProto) -> None:
    change(initializer(model, "LayerNorm.bias"), lambda bias: np.where(np.arange(bias.size) == 0, np.nan, bias))


def weight_by_a_percent(model: onnx.ModelProto) -> None:
    change(initializer(model, "query.weight"), lambda weight: weight * 1.01)


def weight_by_a_thousandth(model: onnx.ModelProto) -> None:
    change(initializer(model, "layer.1.attention.self.query.weight"), lambda weight: weight * 1.001)


def change_epsilon(model: onnx.ModelProto) -> None:
    norms = [node for node in model.graph.node if node.op_type == "LayerNormalization"]
    attribute = next(attribute for attribute in norms[-1].attribute if attribute.name == "epsilon")
    assert attribute.f < 1e-10
    attribute.f = 1e-4


def tanh_form_of_gelu(model: onnx.ModelProto) -> None:
    """The last GELU becomes 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))); its Erf is given x / sqrt(2)."""
    place, erf = [(place, node) for place, node in enumerate(model.graph.node) if node.op_type == "Erf"][-1]
    scaled, result = erf.input[0], erf.output[0]
    formula = [("Mul", scaled, 2**0.5, "x"), ("Mul", "x", "x", "xx"), ("Mul", "xx", "x", "xxx")]
    formula += [("Mul", "xxx", 0.044715, "cubic"), ("Add", "x", "cubic", "sum"), ("Mul", "sum", 0.7978845608, "inner")]
    nodes = []
    for operator, first, second, name in formula:
        if isinstance(second, float):
            number = helper.make_tensor(f"{name} number", TensorProto.FLOAT, [], [second])
            nodes.append(helper.make_node("Constant", [], [number.name], value=number))
        nodes.append(
            helper.make_node(operator, [first, f"{name} number" if isinstance(second, float) else second], [name])
        )
    del model.graph.node[place]
    for offset, node in enumerate([*nodes, helper.make_node("Tanh", ["inner"], [result])]):
        model.graph.node.insert(place + offset, node)


def drop_bias(model: onnx.ModelProto) -> None:
    change(initializer(model, "intermediate.dense.bias"), np.zeros_like)


def zero_weight_row(model: onnx.ModelProto) -> None:
    change(initializer(model, "value.weight"), zero_row)


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (fix_batch, "axis 0 (batch_size) of input input_ids is fixed at 2"),
        (fix_length, "axis 1 (sequence_length) of input attention_mask is fixed at 16"),
        (ignore_mask, "only padded inputs fail"),
        (rename_output, "no output named last_hidden_state"),
        (not_a_number, "NaN or Inf"),
        (weight_by_a_percent, "times its tolerance"),
        (weight_by_a_thousandth, "times"),
        (change_epsilon, "every case fails"),
        (tanh_form_of_gelu, "every case fails"),
        (drop_bias, "every case fails"),
        (zero_weight_row, "times its tolerance"),
    ],
)
def test_a_broken_encoder_is_accused(
    encoder: Proven, tmp_path: Path, break_it: Callable[[onnx.ModelProto], None], words: str
) -> None:
    model = encoder.model()
    break_it(model)
    onnx.save(model, tmp_path / "broken.onnx")
    result = encoder.check(tmp_path / "broken.onnx")
    assert result.verdict is Verdict.FAIL
    assert result.failure is not None
    assert words in f"{result.failure.message} {result.failure.hint}"


def swap_cache_layers(model: onnx.ModelProto) -> None:
    names = {"past_key_values.0.key": "past_key_values.1.key", "past_key_values.1.key": "past_key_values.0.key"}
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def shift_positions(model: onnx.ModelProto) -> None:
    one = helper.make_node("Constant", [], ["one"], value=helper.make_tensor("one", TensorProto.INT64, [], [1]))
    add = helper.make_node("Add", ["position_ids", "one"], ["later_positions"])
    for node in model.graph.node:
        node.input[:] = ["later_positions" if name == "position_ids" else name for name in node.input]
    model.graph.node.insert(0, add)
    model.graph.node.insert(0, one)


def ignore_past_value(model: onnx.ModelProto) -> None:
    zero = helper.make_node("Constant", [], ["zero"], value=helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]))
    multiply = helper.make_node("Mul", ["past_key_values.0.value", "zero"], ["no_past"])
    for node in model.graph.node:
        node.input[:] = ["no_past" if name == "past_key_values.0.value" else name for name in node.input]
    model.graph.node.insert(0, multiply)
    model.graph.node.insert(0, zero)


@pytest.mark.parametrize("break_it", [swap_cache_layers, shift_positions, ignore_past_value, drop_output])
def test_a_broken_decoder_is_accused(
    decoder: Proven, tmp_path: Path, break_it: Callable[[onnx.ModelProto], None]
) -> None:
    model = decoder.model()
    break_it(model)
    onnx.save(model, tmp_path / "broken.onnx")
    assert decoder.check(tmp_path / "broken.onnx").verdict is Verdict.FAIL


def test_good_files_pass_with_every_axis_proven(encoder: Proven, decoder: Proven) -> None:
    for proven in (encoder, decoder):
        result = proven.check(proven.folder / proven.files[0].path)
        assert result.verdict is Verdict.PASS, result.failure
        assert result.axes
        assert all(axis.proven for axis in result.axes)
        assert len(result.cases) >= 8
        assert (result.worst_margin or 1.0) < 0.5


def test_the_tolerance_is_calibrated_and_says_how(encoder: Proven) -> None:
    (output,) = encoder.check(encoder.folder / encoder.files[0].path).outputs
    assert output.tolerance_source == "calibrated"
    assert output.noise
    assert output.noise_multiple
    assert output.atol == max(output.noise * output.noise_multiple, output.noise_floor or 0.0)
    assert output.atol < 1e-4
    assert output.max_rms is not None
    assert output.rms_tolerance is not None
    assert 0.0 < output.max_rms < output.rms_tolerance


def test_a_model_too_large_for_float64_keeps_the_default_table_and_says_so(
    checkpoint: CheckpointFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnx_export_action.validation.calibration.MEMORY_BUDGET", 1000)
    model = checkpoint("bert", task="feature-extraction")
    job = plan_job(
        Request(name="target", model=str(model), destination=tmp_path / "destination", task="feature-extraction")
    )
    references = tmp_path / "references"
    references.mkdir()
    (note,) = make_reference(job, references).notes
    assert "default" in note
    assert "not calibrated" in note
    assert ReferenceReader(references).component("model").outputs["last_hidden_state"].noise is None


def test_the_decoder_generates_the_tokens_that_pytorch_does(decoder: Proven) -> None:
    generation = decoder.check(decoder.folder / decoder.files[0].path).generation
    assert generation is not None
    assert generation.equal
    assert (generation.prompts, generation.tokens) == (3, 32)


def test_a_file_that_is_no_onnx_is_an_error_and_no_pass(encoder: Proven, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    result = encoder.check(tmp_path / "model.onnx")
    assert result.verdict is Verdict.ERROR
    assert result.failure is not None
    assert "does not load" in result.failure.message


def test_a_file_that_changed_after_it_was_written_is_an_error(encoder: Proven, tmp_path: Path) -> None:
    model = encoder.model()
    onnx.save(model, tmp_path / "model.onnx")
    result = encoder.check(tmp_path / "model.onnx", sha256="0" * 64)
    assert result.verdict is Verdict.ERROR
    assert result.failure is not None
    assert "changed" in result.failure.message


def test_a_declared_tolerance_wins(encoder: Proven) -> None:
    path = encoder.folder / encoder.files[0].path
    tight = Job(
        **{field: getattr(encoder.job, field) for field in Job.__struct_fields__}
        | {"tolerance": {"last_hidden_state": OutputTolerance(atol=1e-9, rtol=1e-9)}}
    )
    asked = CandidateFile(path=path, name="model.onnx", components=["model"], engine="tracer", opset=18)
    result = check_file(tight, asked, encoder.references).result
    assert result.verdict is Verdict.FAIL
    assert (result.outputs[0].atol, result.outputs[0].tolerance_source) == (1e-9, "declared")


def test_a_model_without_signal_is_vacuous_and_no_pass(own_checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = own_checkpoint("bert", task="text-classification")
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: array * (0 if "classifier" in name else 1) for name, array in weights.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    proven = _proven(folder, tmp_path, "text-classification")
    result = proven.check(proven.folder / proven.files[0].path)
    assert result.verdict is Verdict.FAIL
    assert result.failure is not None
    assert "vacuous" in result.failure.message
    assert result.outputs[0].vacuous
