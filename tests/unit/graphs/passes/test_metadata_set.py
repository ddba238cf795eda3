"""A file's metadata is what this project says, and nothing else."""

from __future__ import annotations

from onnx import TensorProto, helper

from onnx_export_action.graphs.passes.metadata_set import set_metadata
from tests.unit.graphs.tied import traced


def test_what_was_there_before_is_gone_and_the_order_is_always_the_same() -> None:
    model = traced()
    model.metadata_props.add(key="path", value="/home/somebody")
    model.graph.value_info.append(helper.make_tensor_value_info("embedded", TensorProto.FLOAT, [2, 3, 16]))
    set_metadata(model, {"task": "fill-mask", "engine": "tracer"})
    assert [(entry.key, entry.value) for entry in model.metadata_props] == [("engine", "tracer"), ("task", "fill-mask")]
    assert not model.graph.value_info
