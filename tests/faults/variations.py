"""Changes of good files that change no answer: other tools' files must be accepted. The opposite of the faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from tests.faults.surgery import Surgery

Change = Callable[[onnx.ModelProto, Path], None]


def optimised(level: onnxruntime.GraphOptimizationLevel) -> Change:
    """As ONNX Runtime itself writes it, at one of its optimisation levels."""

    def write(model: onnx.ModelProto, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        options.optimized_model_filepath = str(path)
        options.log_severity_level = 4
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    return write


def renamed(model: onnx.ModelProto, path: Path) -> None:
    """Other names for every node and for every tensor but inputs and outputs."""
    kept = {value.name for value in (*model.graph.input, *model.graph.output)}
    names: dict[str, str] = {"": ""}

    def new_name(name: str) -> str:
        return name if name in kept else names.setdefault(name, f"t{len(names)}")

    for tensor in model.graph.initializer:
        tensor.name = new_name(tensor.name)
    for number, node in enumerate(model.graph.node):
        node.name = f"n{number}"
        node.input[:] = [new_name(name) for name in node.input]
        node.output[:] = [new_name(name) for name in node.output]
    onnx.save(model, path)


def constants_as_nodes(model: onnx.ModelProto, path: Path) -> None:
    """Weights in Constant nodes."""
    nodes = [helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in model.graph.initializer]
    del model.graph.initializer[:]
    for node in reversed(nodes):
        model.graph.node.insert(0, node)
    onnx.save(model, path)


def external(model: onnx.ModelProto, path: Path) -> None:
    """Weights in a file beside it."""
    onnx.save(model, path, save_as_external_data=True, location=f"{path.name}_data", size_threshold=0)


def later_opset(model: onnx.ModelProto, path: Path) -> None:
    """Converted to the next operator set."""
    onnx.save(onnx.version_converter.convert_version(model, model.opset_import[0].version + 1), path)


def with_identities(model: onnx.ModelProto, path: Path) -> None:
    """Operators that do nothing, before every matrix product."""
    surgery = Surgery(model)
    for node in [node for node in model.graph.node if node.op_type in ("MatMul", "Gemm", "Conv")]:
        node.input[0] = surgery.add("Identity", node.input[0])
    onnx.save(surgery.in_order(), path)


def with_inactive_dropout(model: onnx.ModelProto, path: Path) -> None:
    """Dropout that is told not to train."""
    surgery = Surgery(model)
    rate, training = surgery.constant(0.5, np.float32), surgery.constant(False, bool)
    for node in [node for node in model.graph.node if node.op_type in ("MatMul", "Gemm", "Conv")][:4]:
        node.input[0] = surgery.add("Dropout", node.input[0], rate, training)
    onnx.save(surgery.in_order(), path)


def with_another_output(model: onnx.ModelProto, path: Path) -> None:
    """An output too many takes nothing from anyone."""
    node = next(node for node in model.graph.node if node.op_type in ("MatMul", "Gemm", "Conv"))
    model.graph.output.append(helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, None))
    onnx.save(model, path)


_LEVELS = onnxruntime.GraphOptimizationLevel
VARIATIONS: dict[str, Change] = {
    "optimised, basic": optimised(_LEVELS.ORT_ENABLE_BASIC),
    "optimised, extended": optimised(_LEVELS.ORT_ENABLE_EXTENDED),
    "optimised, all": optimised(_LEVELS.ORT_ENABLE_ALL),
    "renamed": renamed,
    "constants as nodes": constants_as_nodes,
    "external data": external,
    "the next opset": later_opset,
    "identities": with_identities,
    "inactive dropout": with_inactive_dropout,
    "another output": with_another_output,
}
