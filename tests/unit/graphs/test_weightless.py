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

from onnx_export_action.graphs import weightless as graph_module
from onnx_export_action.graphs.weightless import (
    Weight,
    WeightlessGraph,
    attach_weights,
    fold_weight_transposes,
    name_axes,
    write_graph,
)


class Tied(torch.nn.Module):
    """An embedding whose matrix is also the output projection, as in GPT-2, and a projection of its own."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.embedding = torch.nn.Parameter(torch.randn(300, 16, generator=generator))
        self.projection = torch.nn.Parameter(torch.randn(16, 16, generator=generator))


def traced() -> onnx.ModelProto:
    """Gather(embedding), MatMul with the projection transposed, MatMul with the embedding transposed."""
    nodes = [
        helper.make_node("Gather", ["embedding", "input_ids"], ["embedded"]),
        helper.make_node("Transpose", ["projection"], ["projection_t"], perm=[1, 0]),
        helper.make_node("MatMul", ["embedded", "projection_t"], ["projected"]),
        helper.make_node("Transpose", ["embedding"], ["embedding_t"], perm=[1, 0]),
        helper.make_node("MatMul", ["projected", "embedding_t"], ["logits"]),
    ]
    inputs = [
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, [2, 3]),
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [300, 16]),
        helper.make_tensor_value_info("projection", TensorProto.FLOAT, [16, 16]),
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [2, 3, 300])]
    graph = helper.make_graph(nodes, "tied", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


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


def test_axes_carry_their_declared_names_and_the_rest_are_fixed(graph: WeightlessGraph, tmp_path: Path) -> None:
    write_graph(graph, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch_size", "sequence_length"]
    assert session.get_outputs()[0].shape == ["batch_size", "sequence_length", 300]


def test_beyond_the_protobuf_limit_weights_go_to_one_file_beside_it(
    graph: WeightlessGraph, module: Tied, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_module, "PROTOBUF_LIMIT_BYTES", 10_000)
    path = tmp_path / "model.onnx"
    main, external = write_graph(graph, path)

    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.onnx", "model.onnx_data"]
    assert main.bytes < 5_000
    assert external.sha256 == hashlib.sha256((tmp_path / "model.onnx_data").read_bytes()).hexdigest()
    onnx.checker.check_model(str(path), full_check=True)
    ids = np.array([[5, 299], [1, 2]])
    np.testing.assert_allclose(run(path, ids), expected(module, ids), rtol=1e-5, atol=1e-4)


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


def test_a_graph_input_that_is_no_parameter_is_refused(module: Tied) -> None:
    with pytest.raises(ValueError, match="input_ids"):
        attach_weights(traced(), module, [])
