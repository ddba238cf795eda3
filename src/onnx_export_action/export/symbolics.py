"""Operators that transformers 5 uses and the tracer has no translation for, each with its reason.

The tracer is frozen upstream (https://pytorch.org/docs/stable/onnx_torchscript.html), so none of these will be added
there; they go with the tracer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.onnx import symbolic_helper, symbolic_opset9, symbolic_opset13, symbolic_opset14

_FIRST_OPSET = 11


def register_missing_operators() -> None:
    """Teach the tracer the operators below; may be called again.

    Attention as one operator, the default of transformers 5, has a translation from opset 14 on, but one that needs
    nothing newer than opset 11.
    """
    operators = {
        "aten::copy": _copy,
        "aten::diff": _diff,
        "aten::mul": _mul,
        "aten::cumsum": _cumsum,
        "aten::scaled_dot_product_attention": symbolic_opset14.scaled_dot_product_attention,
    }
    for name, symbolic in operators.items():
        torch.onnx.register_custom_op_symbolic(name, symbolic, _FIRST_OPSET)
    # The tracer's own translations begin at opsets 12 and 13, and the newest that is not too new wins.
    torch.onnx.register_custom_op_symbolic("aten::unfold", _unfold, 12)
    torch.onnx.register_custom_op_symbolic("aten::repeat_interleave", _repeat_interleave, 13)


def _copy(g: Any, target: Any, source: Any, _: Any) -> Any:
    """``tensor.copy_``: rotary frequencies for long texts (``longrope``) are written over those for short ones."""
    kind = torch.onnx.JitScalarType.from_value(target).onnx_type()
    return g.op("Expand", g.op("Cast", source, to_i=kind), g.op("Shape", target))


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


def _mul(g: Any, one: Any, other: Any) -> Any:
    """A product in bfloat16: float32, rounded, as PyTorch does it; the tracer's own translation for all other types.

    Falcon's attention biases are such a product of bfloat16 and int64. The tracer's type promotion then writes the
    number of complex128 for bfloat16, and ONNX Runtime (1.31) has no such product on a CPU.
    """
    types = torch.onnx.JitScalarType
    kinds = [types.from_value(factor, types.UNDEFINED) for factor in (one, other)]
    if types.BFLOAT16 not in kinds or not set(kinds) <= {types.BFLOAT16, types.INT64, types.INT}:
        return symbolic_opset9.mul(g, one, other)
    factors = [g.op("Cast", factor, to_i=types.FLOAT.onnx_type()) for factor in (one, other)]
    return g.op("Cast", g.op("Mul", *factors), to_i=types.BFLOAT16.onnx_type())


def _repeat_interleave(g: Any, tensor: Any, repeats: Any, axis: Any = None, output_size: Any = None) -> Any:
    """``torch.repeat_interleave`` by one number along one axis; the tracer's own translation for all else.

    That one flattens the new axis into the wrong neighbour where sizes are unknown: rotary positions of cohere, glm
    and helium then had a rank too many.
    """
    rank = symbolic_helper._get_tensor_rank(tensor)
    times, along = symbolic_helper._maybe_get_const(repeats, "t"), symbolic_helper._maybe_get_const(axis, "i")
    if rank is None or not isinstance(along, int) or not isinstance(times, torch.Tensor) or times.numel() != 1:
        return symbolic_opset13.repeat_interleave(g, tensor, repeats, axis, output_size)
    along %= rank
    factors = torch.ones(rank, dtype=torch.int64)
    factors[along] = int(times)
    sizes = g.op("Mul", g.op("Shape", tensor), g.op("Constant", value_t=factors))
    tiles = torch.ones(rank + 1, dtype=torch.int64)
    tiles[along + 1] = int(times)
    tiled = g.op("Tile", symbolic_helper._unsqueeze_helper(g, tensor, [along + 1]), g.op("Constant", value_t=tiles))
    repeated = g.op("Reshape", tiled, sizes)
    repeated.setType(tensor.type().with_sizes([None] * rank))
    return repeated


@symbolic_helper.parse_args("v", "i", "i", "i")
def _unfold(g: Any, tensor: Any, axis: int, size: int, step: int) -> Any:
    """``tensor.unfold``: all windows of an axis, at a new last axis; how time series become patches.

    The tracer's own translation misplaces the new axis for an axis that is counted from the end, and fixes the number
    of windows.
    """
    rank = symbolic_helper._get_tensor_rank(tensor)
    if rank is None:
        return symbolic_helper._unimplemented("unfold", "the tensor's rank is not known")
    axis %= rank
    length = g.op("Gather", g.op("Shape", tensor), _whole_numbers(g, axis))
    end = g.op("Sub", length, _whole_numbers(g, size - 1))
    starts = g.op("Range", _whole_numbers(g, 0), end, _whole_numbers(g, step))
    places = g.op("Add", symbolic_helper._unsqueeze_helper(g, starts, [1]), _whole_numbers(g, list(range(size))))
    windows = g.op("Gather", tensor, places, axis_i=axis)
    order = [*range(axis + 1), *range(axis + 2, rank + 1), axis + 1]
    unfolded = g.op("Transpose", windows, perm_i=order)
    unfolded.setType(tensor.type().with_sizes([None] * (rank + 1)))
    return unfolded


def _whole_numbers(g: Any, value: int | list[int]) -> Any:
    return g.op("Constant", value_t=torch.tensor(value, dtype=torch.int64))


_TO_THE_END = 2**63 - 1
