"""Variants of real files: they load, they are judged by what their precision costs, and a broken one fails."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from onnx_export_action.pipeline.running import check_folder, export_and_check
from onnx_export_action.project.manifest import read_manifest, sha256_of
from onnx_export_action.variants.making import make_variant
from onnx_export_action.vocabulary.jobs import Request
from onnx_export_action.vocabulary.options import ExportOptions, OutputTolerance, Tolerances
from onnx_export_action.vocabulary.results import FileResult, TargetResult, Verdict
from onnx_export_action.vocabulary.variants import VARIANTS, variant_path
from tests.conftest import CheckpointFactory

SMALLER = ("fp16", "bf16", "int8", "uint8", "q8", "q4", "q4f16", "bnb4")


@pytest.fixture(scope="module")
def text_export(checkpoint: CheckpointFactory, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TargetResult]:
    """All variants of a tiny bert, large enough for its weights to weigh."""
    folder = tmp_path_factory.mktemp("variants") / "bert"
    result = exported(large_bert(checkpoint), folder, tuple(VARIANTS))
    return folder, result


def large_bert(checkpoint: CheckpointFactory) -> Path:
    return checkpoint("bert", hidden_size=128, intermediate_size=256)


def exported(model: Path, folder: Path, variants: tuple[str, ...], **options: Any) -> TargetResult:
    request = Request(
        name=folder.name, model=str(model), destination=folder, options=ExportOptions(variants=variants, **options)
    )
    return export_and_check(request, progress=lambda _: None)


def checked(model: Path, folder: Path) -> dict[str, FileResult]:
    request = Request(name=folder.name, model=str(model), destination=folder)
    return {file.path: file for file in check_folder(request, progress=lambda _: None).files}


def test_every_variant_is_written_where_clients_look_and_is_proven(text_export: tuple[Path, TargetResult]) -> None:
    folder, result = text_export
    assert result.failure is None
    assert {file.variant: file.verdict for file in result.files} == dict.fromkeys(VARIANTS, Verdict.PASS)
    names = {path.name for path in (folder / "onnx").iterdir()}
    assert names == {
        *("model.onnx", "model_fp16.onnx", "model_bf16.onnx", "model_int8.onnx", "model_uint8.onnx"),
        *("model_quantized.onnx", "model_q4.onnx", "model_q4f16.onnx", "model_bnb4.onnx"),
        *("model_O1.onnx", "model_O2.onnx", "model_O3.onnx", "model_O4.onnx"),
    }
    manifest = read_manifest(folder / "manifest.json")
    assert manifest.variants == list(VARIANTS)
    assert {file.path: file.variant for file in manifest.files} == {file.path: file.variant for file in result.files}


def test_every_variant_is_smaller_and_says_what_its_precision_costs(text_export: tuple[Path, TargetResult]) -> None:
    _, result = text_export
    sizes = {file.variant: file.bytes for file in result.files}
    assert all(sizes[variant] < 0.75 * sizes["fp32"] for variant in SMALLER)
    assert sizes["q4f16"] < sizes["q4"] < sizes["fp16"]
    for file in result.files:
        if file.variant not in SMALLER:
            continue
        (output,) = file.outputs
        assert output.quality is not None
        assert output.quality.cost_db is not None
        assert output.sqnr_db is not None
        # PyTorch, rounded by code of its own, loses what the file loses.
        assert abs(output.sqnr_db - output.quality.cost_db) < (6 if file.variant == "fp16" else 3), file.variant


def test_a_variant_keeps_its_callers(text_export: tuple[Path, TargetResult]) -> None:
    """Names, types and dynamic axes of inputs and outputs are those of the fp32 file."""
    folder, _ = text_export

    def interface(variant: str) -> list[tuple[str, str, list[Any]]]:
        session = onnxruntime.InferenceSession(folder / variant_path("onnx/model.onnx", variant))
        return [(value.name, value.type, value.shape) for value in (*session.get_inputs(), *session.get_outputs())]

    for variant in VARIANTS:
        assert interface(variant) == interface("fp32"), variant


def test_optimisation_levels_fuse_what_the_level_allows(text_export: tuple[Path, TargetResult]) -> None:
    folder, result = text_export
    paths = {file.variant: folder / file.path for file in result.files}
    graphs = {variant: onnx.load(path).graph for variant, path in paths.items()}
    operators = {variant: [node.op_type for node in graph.node] for variant, graph in graphs.items()}
    assert len(operators["O2"]) < len(operators["O1"]) < len(operators["fp32"])
    assert {node.domain for node in graphs["O1"].node} == {""}
    assert "SkipLayerNormalization" in operators["O2"]
    assert "FastGelu" not in operators["O2"]
    assert "FastGelu" in operators["O3"]
    assert paths["O4"].stat().st_size < 0.75 * paths["O3"].stat().st_size
    tolerances = {file.variant: file.outputs[0].atol for file in result.files}
    assert tolerances["O1"] == tolerances["O2"] == tolerances["fp32"] < tolerances["O3"] < tolerances["O4"]


def test_an_optimised_file_stores_tied_weights_once(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    """ONNX Runtime folds the transposed embeddings of the last layer to a second copy of them."""
    checkpoint_folder = checkpoint("gpt2", vocab_size=5000)
    result = exported(checkpoint_folder, tmp_path / "gpt2", ("fp32", "O1", "O3"))
    assert [str(file.failure) for file in result.files if file.verdict is not Verdict.PASS] == []
    exact, *levels = [file.bytes for file in result.files]
    assert all(size < 1.1 * exact for size in levels)
    assert all(file.generation is not None and file.generation.equal for file in result.files)


def test_a_norm_that_squares_by_a_product_is_optimised(tmp_path: Path) -> None:
    """ONNX Runtime's own tool stops at it."""
    text = """
        <ir_version: 8, opset_import: ["" : 18]>
        norm (float[batch, 4] states) => (float[batch, 4] normed)
        <float[4] weight = {1.0, 2.0, 3.0, 4.0}, float[1] least = {0.00001}, int64[1] axis = {-1}>
        {
            squares = Mul (states, states)
            mean = ReduceMean (squares, axis)
            guarded = Add (mean, least)
            size = Sqrt (guarded)
            unit = Div (states, size)
            normed = Mul (unit, weight)
        }
    """
    model = onnx.parser.parse_model(text)
    for number, node in enumerate(model.graph.node):
        node.name = f"node {number}"
    onnx.save(model, tmp_path / "model.onnx")
    states = {"states": np.array([[1, 2, 3, 4], [0, -1, 0, 5]], np.float32)}
    (expected,) = onnxruntime.InferenceSession(tmp_path / "model.onnx").run(None, states)
    made = make_variant(tmp_path / "model.onnx", "O2")
    (found,) = onnxruntime.InferenceSession(made.model.SerializeToString()).run(None, states)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("level", ["O1", "O2", "O3", "O4"])
def test_a_broken_optimised_file_fails(
    level: str, text_export: tuple[Path, TargetResult], checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    """Its normalisation divides by another number, as where a fusion mixes up an attribute."""
    folder = Path(shutil.copytree(text_export[0], tmp_path / "bert"))
    path = folder / variant_path("onnx/model.onnx", level)
    model = onnx.load(path)
    norms = [node for node in model.graph.node if node.op_type.endswith("LayerNormalization")]
    for attribute in norms[-1].attribute:
        if attribute.name == "epsilon":
            attribute.f = 0.3
    onnx.save(model, path)
    files = checked(large_bert(checkpoint), folder)
    broken = files[path.relative_to(folder).as_posix()]
    assert broken.verdict is Verdict.FAIL
    assert [file.verdict for file in files.values()].count(Verdict.FAIL) == 1


def wrong_scale(tensor: onnx.TensorProto) -> bool:
    """One quantised weight's scales are a tenth larger."""
    if not tensor.name.endswith(("_scale", "_scales", "_absmax")):
        return False
    _set(tensor, onnx.numpy_helper.to_array(tensor) * np.float32(1.1))
    return True


def shuffled_weight(tensor: onnx.TensorProto) -> bool:
    """One quantised weight's numbers stand in another order."""
    if tensor.data_type not in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8) or np.prod(tensor.dims) < 1024:
        return False
    values = onnx.numpy_helper.to_array(tensor)
    _set(tensor, np.random.default_rng(0).permutation(values.reshape(-1)).reshape(values.shape))
    return True


def _set(tensor: onnx.TensorProto, values: np.ndarray[Any, Any]) -> None:
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))


def other_weight(tensor: onnx.TensorProto) -> bool:
    """One weight of 16 bits is a twentieth larger."""
    if tensor.data_type not in (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16) or len(tensor.dims) != 2:
        return False
    values = onnx.numpy_helper.to_array(tensor)
    _set(tensor, (values.astype(np.float32) * 1.05).astype(values.dtype))
    return True


@pytest.mark.parametrize(
    ("variant", "fault"),
    [
        *((variant, fault) for variant in ("int8", "q4", "bnb4") for fault in (wrong_scale, shuffled_weight)),
        *((variant, other_weight) for variant in ("fp16", "bf16")),
    ],
)
def test_a_broken_variant_fails_and_says_why(
    text_export: tuple[Path, TargetResult],
    checkpoint: CheckpointFactory,
    tmp_path: Path,
    variant: str,
    fault: Callable[[onnx.TensorProto], bool],
) -> None:
    folder = Path(shutil.copytree(text_export[0], tmp_path / "bert"))
    path = folder / variant_path("onnx/model.onnx", variant)
    model = onnx.load(path)
    weights = [tensor for tensor in model.graph.initializer if "layer.1.attention.output.dense" in tensor.name]
    assert any(fault(tensor) for tensor in weights)
    onnx.save(model, path)
    for other in (folder / "onnx").iterdir():
        if other.name not in ("model.onnx", path.name):
            other.unlink()
    files = checked(large_bert(checkpoint), folder)
    assert files["onnx/model.onnx"].verdict is Verdict.PASS
    broken = files[path.relative_to(folder).as_posix()]
    assert broken.verdict is Verdict.FAIL
    assert broken.failure is not None
    assert "layer.1.attention.output.dense.weight" in broken.failure.message


def test_a_broken_fp32_file_does_not_accuse_its_variants(
    text_export: tuple[Path, TargetResult], checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(text_export[0], tmp_path / "bert"))
    for other in (folder / "onnx").iterdir():
        if other.name not in ("model.onnx", "model_quantized.onnx"):
            other.unlink()
    model = onnx.load(folder / "onnx/model.onnx")
    (weight,) = (one for one in model.graph.initializer if one.name.startswith("bert.encoder.layer.1.output.dense.w"))
    _set(weight, onnx.numpy_helper.to_array(weight) * np.float32(1.1))
    onnx.save(model, folder / "onnx/model.onnx")
    files = checked(large_bert(checkpoint), folder)
    assert files["onnx/model.onnx"].verdict is Verdict.FAIL
    assert files["onnx/model_quantized.onnx"].verdict is Verdict.PASS


def test_a_declared_demand_that_a_variant_cannot_meet_fails_it_alone(
    checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    demand = {"q4": {"logits": OutputTolerance(sqnr_db=60.0)}}
    result = exported(
        checkpoint("bert"), tmp_path / "bert", ("fp32", "fp16", "q4"), tolerance=Tolerances(of_variants=demand)
    )
    assert {file.variant: file.verdict for file in result.files} == {
        "fp32": Verdict.PASS,
        "fp16": Verdict.PASS,
        "q4": Verdict.FAIL,
    }
    failure = result.files[2].failure
    assert failure is not None
    assert "60.0 dB are needed (declared" in failure.message
    assert failure.hint is not None
    assert "high_precision" in failure.hint


def test_listed_nodes_stay_in_float32(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    kept = {"q4": ["*/encoder/layer.0/*"], "fp16": ["LayerNormalization"]}
    result = exported(checkpoint("bert"), tmp_path / "bert", ("fp32", "fp16", "q4"), high_precision=kept)
    assert result.verdict is Verdict.PASS
    q4 = onnx.load(tmp_path / "bert/onnx/model_q4.onnx").graph
    quantised = [node.name for node in q4.node if node.op_type == "MatMulNBits"]
    assert quantised
    assert not any("/layer.0/" in name for name in quantised)
    assert any(node.op_type == "MatMul" and "/layer.0/" in node.name for node in q4.node)
    fp16 = onnx.load(tmp_path / "bert/onnx/model_fp16.onnx").graph
    norms = {name for node in fp16.node if node.op_type == "LayerNormalization" for name in node.input[1:]}
    stored = {tensor.name: tensor.data_type for tensor in fp16.initializer}
    assert {stored[name] for name in norms} == {onnx.TensorProto.FLOAT}
    assert onnx.TensorProto.FLOAT16 in stored.values()


@pytest.mark.parametrize("kind", ["t5", "whisper"])
def test_the_files_of_an_encoder_decoder_become_variants_together(
    kind: str, checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    folder = tmp_path / kind
    result = exported(checkpoint(kind), folder, ("fp32", "fp16", "q8", "q4f16", "O2"))
    assert [str(file.failure) for file in result.files if file.verdict is not Verdict.PASS] == []
    assert len(result.files) == 4 * 5
    merged = {file.variant: file for file in result.files if "merged" in file.path}
    assert merged["q8"].path == "onnx/decoder_model_merged_quantized.onnx"
    for file in merged.values():
        assert file.generation is not None
        assert file.generation.equal
        stored = onnx.load(folder / file.path).graph.initializer
        large = [tensor.raw_data for tensor in stored if np.prod(tensor.dims) >= 1024]
        assert len(large) == len(set(large)), "a weight of both branches is stored twice"


def test_a_generator_keeps_its_tokens_in_every_variant(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    """Of GPT-2, whose layers are Gemm nodes, which the 4-bit tools pass over by themselves."""
    result = exported(checkpoint("gpt2"), tmp_path / "gpt2", ("fp32", "fp16", "q4"))
    assert result.verdict is Verdict.PASS
    assert all(file.generation is not None and file.generation.equal for file in result.files)
    operators = {node.op_type for node in onnx.load(tmp_path / "gpt2/onnx/model_q4.onnx").graph.node}
    assert "MatMulNBits" in operators
    assert "Gemm" not in operators


def test_convolutions_are_quantised_where_their_kernels_are(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    result = exported(checkpoint("wav2vec2"), tmp_path / "wav2vec2", ("fp32", "int8", "q8"))
    assert [str(file.failure) for file in result.files if file.verdict is not Verdict.PASS] == []


@pytest.mark.parametrize(("kind", "task"), [("llama", "text-generation-with-past"), ("t5", "auto")])
def test_16_bit_variants_keep_their_cache_in_float16_and_nothing_else(
    kind: str, task: str, checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    request = Request(
        name=kind,
        model=str(checkpoint(kind)),
        destination=tmp_path / kind,
        task=task,
        options=ExportOptions(variants=("fp32", "fp16", "q4f16", "q4")),
    )
    result = export_and_check(request, progress=lambda _: None)
    assert [str(file.failure) for file in result.files if file.verdict is not Verdict.PASS] == []
    for record in read_manifest(tmp_path / kind / "manifest.json").files:
        session = onnxruntime.InferenceSession(tmp_path / kind / record.path)
        for value in (*session.get_inputs(), *session.get_outputs()):
            half = record.variant in ("fp16", "q4f16") and value.name.startswith(("past_key_values.", "present."))
            if value.type in ("tensor(float)", "tensor(float16)"):
                assert value.type == ("tensor(float16)" if half else "tensor(float)"), (record.path, value.name)
            listed = {**record.inputs, **record.outputs}[value.name].dtype
            assert value.type == f"tensor({'float' if listed == 'float32' else listed})"


def test_every_variant_is_written_and_proven_in_pieces(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    """What is made in pieces is made from pieces, proven, checked again in place, and listed in config.json."""
    folder = tmp_path / "llama"
    result = exported(checkpoint("llama"), folder, ("fp32", "fp16", "q8", "q4", "O2"), shard_bytes=30_000)
    assert [str(file.failure) for file in result.files if file.verdict is not Verdict.PASS] == []
    records = {record.path: record for record in read_manifest(folder / "manifest.json").files}
    assert len(records["onnx/model.onnx"].external_data) > 2
    for file in result.files:
        pieces = records[file.path].external_data
        assert file.external_sha256 == [piece.sha256 for piece in pieces] != []
        assert file.bytes == sum(one.bytes for one in (records[file.path], *pieces))
        names = [f"{file.path}_data", *(f"{file.path}_data_{number}" for number in range(1, len(pieces)))]
        assert [piece.path for piece in pieces] == names
        assert all((folder / piece.path).stat().st_size <= 30_000 for piece in pieces)
    again = checked(checkpoint("llama"), folder)
    assert {path: file.external_sha256 for path, file in again.items()} == {
        file.path: file.external_sha256 for file in result.files
    }
    assert {file.verdict for file in again.values()} == {Verdict.PASS}
    config = json.loads((folder / "config.json").read_bytes())
    assert config.pop("transformers.js_config")["use_external_data_format"] == {
        Path(path).name: len(record.external_data) for path, record in records.items() if record.variant != "O2"
    }
    assert config == json.loads((checkpoint("llama") / "config.json").read_bytes())
    companion = next(one for one in read_manifest(folder / "manifest.json").other_files if one.path == "config.json")
    assert companion.sha256 == sha256_of(folder / "config.json")


def test_auto_keeps_the_fewest_nodes_that_meet_the_demand(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    plain = exported(checkpoint("bert"), tmp_path / "plain", ("fp32", "q4")).files[1].outputs[0].sqnr_db
    assert plain is not None
    demand = {"q4": {"logits": OutputTolerance(sqnr_db=plain + 3)}}
    result = exported(
        checkpoint("bert"),
        tmp_path / "bert",
        ("fp32", "q4"),
        tolerance=Tolerances(of_variants=demand),
        high_precision={"q4": ["auto"]},
    )
    assert [str(file.failure) for file in result.files if file.verdict is not Verdict.PASS] == []
    (said,) = [note for note in result.notes if note.startswith("q4: ")]
    assert "stay in float32, found in" in said
    operators = [node.op_type for node in onnx.load(tmp_path / "bert/onnx/model_q4.onnx").graph.node]
    assert operators.count("MatMulNBits") > 7, "at least half of the products are quantised still"


def test_auto_keeps_nothing_where_nothing_has_to_be(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    result = exported(checkpoint("bert"), tmp_path / "bert", ("fp32", "fp16"), high_precision={"fp16": ["auto"]})
    assert result.verdict is Verdict.PASS
    assert "fp16: nothing has to stay in float32" in result.notes


def test_the_mean_of_no_tokens_stays_zero_in_float16(tmp_path: Path) -> None:
    """0 / max(0, 1e-9): the guard is zero in float16."""
    text = """
        <ir_version: 8, opset_import: ["" : 18]>
        mean (float[batch, length, size] states, int64[batch, length] mask) => (float[batch, size] embedding) {
            axis = Constant <value_ints = [1]> ()
            last = Constant <value_ints = [-1]> ()
            least = Constant <value = float {1e-9}> ()
            numbers = Cast <to = 1> (mask)
            column = Unsqueeze (numbers, last)
            chosen = Mul (states, column)
            total = ReduceSum <keepdims = 0> (chosen, axis)
            count = ReduceSum <keepdims = 0> (column, axis)
            divisor = Clip (count, least)
            embedding = Div (total, divisor)
        }
    """
    model = onnx.parser.parse_model(text)
    for number, node in enumerate(model.graph.node):
        node.name = f"node {number}"
    onnx.save(model, tmp_path / "model.onnx")
    made = make_variant(tmp_path / "model.onnx", "fp16")
    session = onnxruntime.InferenceSession(made.model.SerializeToString())
    states = np.ones((2, 3, 4), np.float32)
    (embedding,) = session.run(None, {"states": states, "mask": np.array([[1, 1, 0], [0, 0, 0]])})
    assert embedding.tolist() == [[1.0] * 4, [0.0] * 4]
