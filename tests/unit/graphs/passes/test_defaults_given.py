"""Inputs that a caller may leave out have a value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from onnx_export_action.graphs.passes.defaults_given import give_defaults


def test_an_input_may_be_given_or_left_out(tmp_path: Path) -> None:
    inputs = [helper.make_tensor_value_info("given", TensorProto.FLOAT, ["batch_size"])]
    inputs.append(helper.make_tensor_value_info("scale", TensorProto.FLOAT, []))
    outputs = [helper.make_tensor_value_info("scaled", TensorProto.FLOAT, ["batch_size"])]
    graph = helper.make_graph([helper.make_node("Mul", ["given", "scale"], ["scaled"])], "graph", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    give_defaults(model, {"scale": 0.5})
    onnx.save(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    given = np.array([2.0, 4.0], dtype=np.float32)
    assert session.run(None, {"given": given})[0].tolist() == [1.0, 2.0]
    assert session.run(None, {"given": given, "scale": np.array(3, dtype=np.float32)})[0].tolist() == [6.0, 12.0]
