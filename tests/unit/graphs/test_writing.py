"""Files written from graphs without weights: what ONNX itself reads back, and what each weight costs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from onnx_export_action.graphs.passes.axes_named import name_axes
from onnx_export_action.graphs.passes.transposes_folded import fold_weight_transposes
from onnx_export_action.graphs.passes.weights_attached import attach_weights
from onnx_export_action.graphs.reader import external_locations, read_onnx
from onnx_export_action.graphs.weightless import Weight, WeightlessGraph
from onnx_export_action.graphs.writing import write_graph
from onnx_export_action.vocabulary.errors import ExportError
from tests.unit.graphs.tied import Tied, traced


@pytest.fixture
def module() -> Tied:
    return Tied()


@pytest.fixture
def graph(module: Tied) -> WeightlessGraph:
    made = attach_weights(traced(), module, ["input_ids"])
    axes = {"input_ids": {0: "batch_size", 1: "sequence_length"}, "logits": {0: "batch_size", 1: "sequence_length"}}
    name_axes(made.model, axes, {"input_ids": (2, 3), "logits": (2, 3, 300)})
    fold_weight_transposes(made)
    return made


def expected(module: Tied, ids: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        embedded = module.embedding[torch.from_numpy(ids)]
        return (embedded @ module.projection.T @ module.embedding.T).numpy()


def run(path: Path, ids: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"input_ids": ids})[0]


def test_the_file_is_valid_onnx_and_computes_what_the_module_does(
    graph: WeightlessGraph, module: Tied, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    (written,) = write_graph(graph, path)

    onnx.checker.check_model(str(path), full_check=True)
    ids = np.array([[5, 299, 0, 17, 4]])
    np.testing.assert_allclose(run(path, ids), expected(module, ids), rtol=1e-5, atol=1e-4)
    assert written.bytes == path.stat().st_size
    assert written.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_tied_weight_is_stored_once_and_another_is_stored_transposed(
    graph: WeightlessGraph, module: Tied, tmp_path: Path
) -> None:
    (written,) = write_graph(graph, tmp_path / "model.onnx")

    assert written.bytes < module.embedding.nbytes + module.projection.nbytes + 2000
    stored = {tensor.name for tensor in onnx.load(tmp_path / "model.onnx").graph.initializer}
    assert stored == {"embedding", "projection_transposed"}


def test_beyond_its_largest_size_a_file_has_its_weights_in_one_file_beside_it(
    graph: WeightlessGraph, module: Tied, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    size = graph.nbytes + 10_000
    assert len(write_graph(graph, path, shard_bytes=size)) == 1
    main, external = write_graph(graph, path, shard_bytes=graph.nbytes)

    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.onnx", "model.onnx_data"]
    assert main.bytes < 5_000
    assert external.sha256 == hashlib.sha256((tmp_path / "model.onnx_data").read_bytes()).hexdigest()
    onnx.checker.check_model(str(path), full_check=True)
    ids = np.array([[5, 299], [1, 2]])
    np.testing.assert_allclose(run(path, ids), expected(module, ids), rtol=1e-5, atol=1e-4)


def test_weights_are_split_into_pieces_that_onnx_runtime_and_transformers_js_find(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    weights = {name: Weight(torch.full((1000,), value)) for name, value in (("a", 1.0), ("b", 10.0), ("c", 100.0))}
    nodes = [helper.make_node("Sum", ["x", "a", "b", "c"], ["y"])]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1000]) for name in "xy")
    graph = helper.make_graph(nodes, "sum", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    main, *pieces = write_graph(WeightlessGraph(model, weights), path, shard_bytes=4096 + 4000)

    assert [piece.path for piece in pieces] == ["model.onnx_data", "model.onnx_data_1"]
    assert [piece.bytes for piece in pieces] == [4096 + 4000, 4000]
    for record in (main, *pieces):
        content = (tmp_path / record.path).read_bytes()
        assert (record.bytes, record.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, {"x": np.zeros(1000, np.float32)})[0], np.full(1000, 111.0))
    assert external_locations(read_onnx(path).graph) == ["model.onnx_data", "model.onnx_data_1"]


def test_a_weight_larger_than_a_piece_has_one_of_its_own(tmp_path: Path) -> None:
    sizes = {"first": 1000, "large": 5000, "second": 1000, "third": 300}
    weights = {name: Weight(torch.ones(size)) for name, size in sizes.items()}
    model = helper.make_model(helper.make_graph([], "weights", [], []), opset_imports=[helper.make_opsetid("", 18)])
    _, *pieces = write_graph(WeightlessGraph(model, weights), tmp_path / "model.onnx", shard_bytes=8192)
    assert [piece.bytes for piece in pieces] == [4000, 20_000, 4096 + 1200]
    read = onnx.load(tmp_path / "model.onnx")
    assert {tensor.name: tensor.dims[0] for tensor in read.graph.initializer} == sizes


def test_more_pieces_than_clients_fetch_are_refused_before_a_file_is_written(tmp_path: Path) -> None:
    weights = {f"weight{number}": Weight(torch.ones(300)) for number in range(101)}
    model = helper.make_model(helper.make_graph([], "weights", [], []), opset_imports=[helper.make_opsetid("", 18)])
    with pytest.raises(ExportError, match="101 files"):
        write_graph(WeightlessGraph(model, weights), tmp_path / "model.onnx", shard_bytes=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.bool, torch.float64]
)
def test_every_dtype_is_read_back_bit_for_bit(dtype: torch.dtype, tmp_path: Path) -> None:
    tensor = torch.arange(-3, 3).to(dtype).reshape(2, 3)
    weight = Weight(tensor, permutation=(1, 0))
    graph = helper.make_graph([], "weights", [], [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    write_graph(WeightlessGraph(model, {"weight": weight}), tmp_path / "model.onnx")

    (read,) = onnx.load(tmp_path / "model.onnx").graph.initializer
    assert list(read.dims) == [3, 2]
    array = onnx.numpy_helper.to_array(read).astype(np.float64)
    np.testing.assert_array_equal(array, tensor.T.to(torch.float64).numpy())


def test_a_scalar_and_an_empty_weight_survive(tmp_path: Path) -> None:
    weights = {"scalar": Weight(torch.tensor(2.5)), "empty": Weight(torch.zeros(0, 4))}
    model = helper.make_model(helper.make_graph([], "weights", [], []))
    write_graph(WeightlessGraph(model, weights), tmp_path / "model.onnx")
    read = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in onnx.load(tmp_path / "model.onnx").graph.initializer
    }
    assert read["scalar"] == 2.5
    assert read["scalar"].shape == ()
    assert read["empty"].shape == (0, 4)
