"""No parameter of the model is an input of the graph: each is a weight of it."""

from __future__ import annotations

import pytest
from onnx import TensorProto, helper

from onnx_export_action.graphs.passes.weights_attached import attach_weights
from tests.unit.graphs.tied import Tied, traced


def test_parameters_become_weights_and_share_the_models_memory() -> None:
    module = Tied()
    graph = attach_weights(traced(), module, ["input_ids"])
    assert [value.name for value in graph.model.graph.input] == ["input_ids"]
    assert {name: weight.tensor.data_ptr() for name, weight in graph.weights.items()} == {
        "embedding": module.embedding.data_ptr(),
        "projection": module.projection.data_ptr(),
    }


def test_a_parameter_that_nothing_reads_is_left_out() -> None:
    module, model = Tied(), traced()
    module.unread = module.embedding
    model.graph.input.append(helper.make_tensor_value_info("unread", TensorProto.FLOAT, [300, 16]))
    assert "unread" not in attach_weights(model, module, ["input_ids"]).weights


def test_a_graph_input_that_is_no_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match="input_ids"):
        attach_weights(traced(), Tied(), [])
