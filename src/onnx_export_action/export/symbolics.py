"""Operators that transformers 5 uses and the tracer has no translation for, each with its reason.

The tracer is frozen upstream (https://pytorch.org/docs/stable/onnx_torchscript.html), so none of these will be added
there; they go with the tracer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.onnx import symbolic_helper, symbolic_opset14

_FIRST_OPSET = 11


def register_missing_operators() -> None:
    """Teach the tracer the operators below; may be called again.

    Attention as one operator, the default of transformers 5, has a translation from opset 14 on, but one that needs
    nothing newer than opset 11.
    """
    operators = {
        "aten::diff": _diff,
        "aten::cumsum": _cumsum,
        "aten::scaled_dot_product_attention": symbolic_opset14.scaled_dot_product_attention,
    }
    for name, symbolic in operators.items():
        torch.onnx.register_custom_op_symbolic(name, symbolic, _FIRST_OPSET)


@symbolic_helper.parse_args("v", "i", "i", "v", "v")
def _diff(g: Any, tensor: Any, order: int, axis: int, prepend: Any, append: Any) -> Any:
    """``torch.diff``: transformers' masks find packed sequences with it (``masking_utils``, since 4.56)."""
    parts = [part for part in (prepend, tensor, append) if not symbolic_helper._is_none(part)]
    if len(parts) > 1:
        tensor = g.op("Concat", *parts, axis_i=axis)
    for _ in range(order):
        later = symbolic_helper._slice_helper(g, tensor, axes=[axis], starts=[1], ends=[_TO_THE_END])
        earlier = symbolic_helper._slice_helper(g, tensor, axes=[axis], starts=[0], ends=[-1])
        tensor = g.op("Sub", later, earlier)
    return tensor


@symbolic_helper.parse_args("v", "i", "v")
def _cumsum(g: Any, tensor: Any, axis: int, dtype: Any) -> Any:
    """``torch.cumsum`` counts booleans as int64, ONNX' CumSum refuses them; the tracer's own translation does not cast.

    transformers' masks count where packed sequences begin this way (``masking_utils``, since 4.56).
    """
    wanted = None if symbolic_helper._is_none(dtype) else symbolic_helper._maybe_get_const(dtype, "i")
    onnx_type = _onnx_type(tensor, wanted)
    if onnx_type is not None:
        tensor = g.op("Cast", tensor, to_i=onnx_type)
    return g.op("CumSum", tensor, g.op("Constant", value_t=torch.tensor(axis, dtype=torch.int64)))


def _onnx_type(tensor: Any, wanted: Any) -> int | None:
    """The type to sum in, None for the tensor's own."""
    if isinstance(wanted, int):
        return int(torch.onnx.JitScalarType(wanted).onnx_type())
    is_bool = torch.onnx.JitScalarType.from_value(tensor, torch.onnx.JitScalarType.UNDEFINED) == (
        torch.onnx.JitScalarType.BOOL
    )
    return int(torch.onnx.JitScalarType.INT64.onnx_type()) if is_bool else None


_TO_THE_END = 2**63 - 1
