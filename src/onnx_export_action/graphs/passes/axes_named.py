"""Ensures that the axes of inputs and outputs have their declared names, and all others a size."""

from __future__ import annotations

from collections.abc import Mapping

import onnx


def name_axes(
    model: onnx.ModelProto,
    dynamic_axes: Mapping[str, Mapping[int, str]],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Give every input and output its declared axis names; all other axes are fixed at the size in ``shapes``."""
    for value in (*model.graph.input, *model.graph.output):
        tensor_type = value.type.tensor_type
        del tensor_type.shape.dim[:]
        for axis, size in enumerate(shapes[value.name]):
            name = dynamic_axes.get(value.name, {}).get(axis)
            tensor_type.shape.dim.add(**({"dim_param": name} if name else {"dim_value": size}))
