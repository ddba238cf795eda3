"""Ensures that inputs which a caller may leave out have a value."""

from __future__ import annotations

from collections.abc import Mapping

import onnx


def give_defaults(model: onnx.ModelProto, defaults: Mapping[str, float]) -> None:
    """Let a caller leave out these inputs, float32 numbers: an input with an initializer has it as its default.

    See "Optional inputs" in https://github.com/onnx/onnx/blob/main/docs/IR.md (from IR version 4 on).
    """
    for name, value in defaults.items():
        model.graph.initializer.append(onnx.helper.make_tensor(name, onnx.TensorProto.FLOAT, [], [value]))
