"""The axes of inputs and outputs have their declared names, and all others a size."""

from __future__ import annotations

from onnx_export_action.graphs.passes.axes_named import name_axes
from onnx_export_action.graphs.tensor_records import tensor_records
from tests.unit.graphs.tied import traced


def test_axes_carry_their_declared_names_and_the_rest_are_fixed() -> None:
    model = traced()
    del model.graph.input[1:]
    axes = {"input_ids": {0: "batch_size"}, "logits": {0: "batch_size", 1: "sequence_length"}}
    name_axes(model, axes, {"input_ids": (2, 3), "logits": (2, 3, 300)})
    assert tensor_records(model.graph.input)["input_ids"].shape == ["batch_size", 3]
    assert tensor_records(model.graph.output)["logits"].shape == ["batch_size", "sequence_length", 300]


def test_what_a_tracer_guessed_is_replaced() -> None:
    model = traced()
    del model.graph.input[1:]
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            dim.dim_param = "guessed"
    name_axes(model, {}, {"input_ids": (2, 3), "logits": (2, 3, 300)})
    assert tensor_records(model.graph.input)["input_ids"].shape == [2, 3]
    assert tensor_records(model.graph.output)["logits"].shape == [2, 3, 300]
