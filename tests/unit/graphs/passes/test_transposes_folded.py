"""No weight is transposed whenever the graph runs, unless it is read otherwise as well."""

from __future__ import annotations

import torch

from onnx_export_action.graphs.passes.transposes_folded import fold_weight_transposes
from onnx_export_action.graphs.passes.weights_attached import attach_weights
from tests.unit.graphs.tied import Tied, traced


def test_a_weight_that_is_only_transposed_is_stored_so_and_a_tied_one_is_not() -> None:
    module = Tied()
    graph = attach_weights(traced(), module, ["input_ids"])
    fold_weight_transposes(graph)
    assert set(graph.weights) == {"embedding", "projection_transposed"}
    stored = torch.frombuffer(bytearray(graph.weights["projection_transposed"].read()), dtype=torch.float32)
    assert torch.equal(stored.reshape(16, 16), module.projection.T)
    nodes = graph.model.graph.node
    assert [node.op_type for node in nodes] == ["Gather", "MatMul", "Transpose", "MatMul"]
    assert nodes[1].input[1] == "projection_transposed"


def test_a_graph_without_such_weights_stays_as_it_is() -> None:
    graph = attach_weights(traced(), Tied(), ["input_ids"])
    fold_weight_transposes(graph)
    before = graph.model.SerializeToString()
    fold_weight_transposes(graph)
    assert graph.model.SerializeToString() == before
