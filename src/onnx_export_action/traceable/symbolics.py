"""Operators that transformers 5 uses and the tracer has no translation for, each with its reason.

The tracer is frozen upstream (https://pytorch.org/docs/stable/onnx_torchscript.html), so none of these will be added
there; they go with the tracer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.onnx import symbolic_helper, symbolic_opset9, symbolic_opset13, symbolic_opset14

from onnx_export_action.vocabulary.supported.opsets import LOWEST_OPSET


@contextmanager
def translated_operators(_: torch.nn.Module) -> Iterator[None]:
    """Teach the tracer the operators below, and let it forget them again."""
    for (name, opset), symbolic in _TRANSLATIONS.items():
        torch.onnx.register_custom_op_symbolic(name, symbolic, opset)
    try:
        yield
    finally:
        for name, opset in _TRANSLATIONS:
            torch.onnx.unregister_custom_op_symbolic(name, opset)


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


def _reshape(g: Any, tensor: Any, shape: Any) -> Any:
    """``reshape`` to a size of zero, where ONNX' own meaning of a zero is the size that was there.

    Heads without rotary positions have such parts (GLM 5, Mistral Large 4).
    """
    sizes = symbolic_helper._unpack_list(shape) if symbolic_helper._is_packed_list(shape) else []
    is_empty = any(symbolic_helper._maybe_get_const(size, "i") == 0 for size in sizes)
    return symbolic_helper._reshape_helper(g, tensor, shape, allowzero=int(is_empty))


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


def _or(g: Any, one: Any, other: Any) -> Any:
    """``|`` and ``|=``, of truth values and of whole numbers."""
    types = torch.onnx.JitScalarType
    kinds = {types.from_value(value, types.UNDEFINED) for value in (one, other)}
    if kinds <= {types.BOOL, types.UNDEFINED}:
        return g.op("Or", one, other)
    if types.BOOL in kinds:
        (kind,) = kinds - {types.BOOL}
        one, other = (g.op("Cast", value, to_i=kind.onnx_type()) for value in (one, other))
    if g.opset < _AXES_ARE_INPUTS:
        return symbolic_helper._unimplemented("bitwise_or", "whole numbers need opset 18")
    return g.op("BitwiseOr", one, other)


def _where(g: Any, condition: Any, one: Any = None, other: Any = None, _outputs: Any = None) -> Any:
    """``torch.where`` between truth values, which ONNX Runtime (1.31) has no Where for; the tracer's own for others."""
    if one is None or not all(_is_truth(value) for value in (one, other)):
        return symbolic_opset13.where(g, condition, one, other, _outputs)
    return _chosen(g, condition, one, other)


def _masked_fill(g: Any, tensor: Any, mask: Any, value: Any) -> Any:
    """``tensor.masked_fill``, of truth values as ``torch.where``."""
    if not _is_truth(tensor):
        return symbolic_opset9.masked_fill(g, tensor, mask, value)
    return _chosen(g, mask, g.op("Cast", value, to_i=torch.onnx.JitScalarType.BOOL.onnx_type()), tensor)


def _chosen(g: Any, condition: Any, one: Any, other: Any) -> Any:
    otherwise = g.op("And", g.op("Not", condition), other)
    return g.op("Or", g.op("And", condition, one), otherwise)


def _is_truth(value: Any) -> bool:
    types = torch.onnx.JitScalarType
    return types.from_value(value, types.UNDEFINED) == types.BOOL


def _expm1(g: Any, tensor: Any) -> Any:
    """``torch.expm1`` near zero too: 2 sinh(x / 2) exp(x / 2), where exp(x) - 1 would lose the digits of x."""
    half = g.op("Mul", tensor, _number(g, 0.5))
    doubled = g.op("Mul", g.op("Sinh", half), _number(g, 2.0))
    return g.op("Mul", doubled, g.op("Exp", half))


@symbolic_helper.parse_args("v", "v", "b", "b")
def _isin(g: Any, elements: Any, wanted: Any, _: bool, invert: bool) -> Any:
    """``torch.isin``: each element beside each of a row of wanted ones."""
    ends = g.op("Constant", value_t=torch.tensor([-1], dtype=torch.int64))
    row = g.op("Reshape", wanted, ends)
    equal = g.op("Equal", symbolic_helper._unsqueeze_helper(g, elements, [-1]), row)
    counts = g.op("Cast", equal, to_i=torch.onnx.JitScalarType.INT64.onnx_type())
    found = symbolic_helper._reducesum_helper(g, counts, axes_i=[-1], keepdims_i=0)
    found = g.op("Cast", found, to_i=torch.onnx.JitScalarType.BOOL.onnx_type())
    return g.op("Not", found) if invert else found


@symbolic_helper.parse_args("v", "is")
def _permute(g: Any, tensor: Any, axes: list[int]) -> Any:
    """``tensor.permute`` with axes that are counted from the end, which ONNX' Transpose does not know (Mamba 2)."""
    return symbolic_opset9.permute.__wrapped__(g, tensor, [axis % len(axes) for axis in axes])


@symbolic_helper.parse_args("v", "v", "b", "b", "b")
def _solve_triangular(g: Any, matrix: Any, right: Any, upper: bool, left: bool, unitriangular: bool) -> Any:
    """``torch.linalg.solve_triangular``, as gated delta rules solve their chunks.

    With the diagonal D taken out, the triangle is D (I - N) and N is nilpotent: its inverse is the product of
    I + N^(2^k), which is exact once 2^k reaches the size.
    """
    if not left or g.opset < _HAS_TRIANGLES:
        return symbolic_helper._unimplemented("linalg_solve_triangular", "opset 14, and the matrix on the left")
    strict = g.op("Trilu", matrix, _whole_numbers(g, 1 if upper else -1), upper_i=int(upper))
    nilpotent = g.op("Neg", strict)
    if not unitriangular:
        triangle = g.op("Trilu", matrix, _whole_numbers(g, 0), upper_i=int(upper))
        diagonal = symbolic_helper._reducesum_helper(g, g.op("Sub", triangle, strict), axes_i=[-1], keepdims_i=1)
        nilpotent, right = g.op("Div", nilpotent, diagonal), g.op("Div", right, diagonal)
    size = symbolic_helper._get_tensor_dim_size(matrix, -1) or _LARGEST_TRIANGLE
    solved = right
    power = nilpotent
    for step in range(max(1, (size - 1).bit_length())):
        if step:
            power = g.op("MatMul", power, power)
        solved = g.op("Add", solved, g.op("MatMul", power, solved))
    return solved


@symbolic_helper.parse_args("v", "is", "v", "f")
def _rms_norm(g: Any, tensor: Any, sizes: list[int], weight: Any, epsilon: float | None) -> Any:
    """``torch.nn.functional.rms_norm``: divided by the root of the mean square over the last axes."""
    axes = list(range(-len(sizes), 0))
    squares = g.op("Mul", tensor, tensor)
    if g.opset < _AXES_ARE_INPUTS:
        mean = g.op("ReduceMean", squares, axes_i=axes, keepdims_i=1)
    else:
        mean = g.op("ReduceMean", squares, _whole_numbers(g, axes), keepdims_i=1)
    smallest = torch.finfo(torch.float32).eps if epsilon is None else epsilon
    root = g.op("Sqrt", g.op("Add", mean, _number(g, smallest)))
    normed = g.op("Div", tensor, root)
    return normed if symbolic_helper._is_none(weight) else g.op("Mul", normed, weight)


def _resize_by_triangles(g: Any, image: Any, sizes: Any, align_corners: Any, *_: Any) -> Any:
    return _resize_smoothly(g, image, sizes, align_corners, _triangle, 1.0)


def _resize_by_cubics(g: Any, image: Any, sizes: Any, align_corners: Any, *_: Any) -> Any:
    return _resize_smoothly(g, image, sizes, align_corners, _cubic, 2.0)


def _resize_smoothly(g: Any, image: Any, sizes: Any, align_corners: Any, weigh: Any, support: float) -> Any:
    """``interpolate(antialias=True)``: (batch, channels, height, width), a product with a matrix for each side.

    Not ONNX' own Resize with ``antialias``: ONNX Runtime 1.31 gives other values than PyTorch when it shrinks.
    """
    if symbolic_helper._maybe_get_const(align_corners, "b"):
        return symbolic_helper._unimplemented("_upsample_2d_aa", "corners are aligned")
    if symbolic_helper._is_packed_list(sizes):
        height, width = (_as_row(g, size) for size in symbolic_helper._unpack_list(sizes))
    else:
        height, width = (g.op("Gather", sizes, _whole_numbers(g, [side])) for side in (0, 1))
    shape = g.op("Shape", image)
    of_height, of_width = (g.op("Gather", shape, _whole_numbers(g, [axis])) for axis in (2, 3))
    rows = _smoothing_weights(g, of_height, height, weigh, support)
    columns = _smoothing_weights(g, of_width, width, weigh, support)
    resized = g.op("MatMul", rows, g.op("MatMul", image, g.op("Transpose", columns, perm_i=[1, 0])))
    resized.setType(image.type().with_sizes([None] * 4))
    return resized


def _smoothing_weights(g: Any, before: Any, after: Any, weigh: Any, support: float) -> Any:
    """What each pixel of a side gives to each of the resized side: (after, before), float32.

    ``compute_index_ranges_weights`` of PyTorch 2.13's ``UpSampleKernel.cpp``, for all pixels at once: those beyond the
    filter's support have no weight.
    """
    kind = torch.onnx.JitScalarType.FLOAT.onnx_type()
    scale = g.op("Div", g.op("Cast", before, to_i=kind), g.op("Cast", after, to_i=kind))
    stretched = g.op("Max", scale, _number(g, 1.0))
    middles = g.op("Mul", g.op("Add", _counted(g, after, kind), _number(g, 0.5)), scale)
    pixels = g.op("Add", _counted(g, before, kind), _number(g, 0.5))
    apart = g.op("Sub", pixels, symbolic_helper._unsqueeze_helper(g, middles, [1]))
    distance = g.op("Abs", g.op("Div", apart, stretched))
    inside = g.op("Cast", g.op("Less", distance, _number(g, support)), to_i=kind)
    weights = g.op("Mul", weigh(g, distance), inside)
    return g.op("Div", weights, symbolic_helper._reducesum_helper(g, weights, axes_i=[1], keepdims_i=1))


def _counted(g: Any, size: Any, kind: int) -> Any:
    """0, 1, 2 ... below a size."""
    end = symbolic_helper._squeeze_helper(g, size, [0])
    return g.op("Cast", g.op("Range", _whole_numbers(g, 0), end, _whole_numbers(g, 1)), to_i=kind)


def _triangle(g: Any, distance: Any) -> Any:
    return g.op("Sub", _number(g, 1.0), distance)


def _cubic(g: Any, distance: Any) -> Any:
    """Keys' cubic with a = -0.5, as Pillow and ``HelperInterpCubic::aa_filter`` of PyTorch have it."""
    near = _polynomial(g, distance, (1.5, -2.5, 0.0, 1.0))
    far = _polynomial(g, distance, (-0.5, 2.5, -4.0, 2.0))
    return g.op("Where", g.op("Less", distance, _number(g, 1.0)), near, far)


def _polynomial(g: Any, tensor: Any, coefficients: tuple[float, ...]) -> Any:
    """By Horner's rule, the highest power's coefficient first."""
    value = _number(g, coefficients[0])
    for coefficient in coefficients[1:]:
        value = g.op("Add", g.op("Mul", value, tensor), _number(g, coefficient))
    return value


def _number(g: Any, value: float) -> Any:
    return g.op("Constant", value_t=torch.tensor(value, dtype=torch.float32))


def _as_row(g: Any, size: Any) -> Any:
    return g.op("Reshape", size, _whole_numbers(g, [1]))


def _whole_numbers(g: Any, value: int | list[int]) -> Any:
    return g.op("Constant", value_t=torch.tensor(value, dtype=torch.int64))


_TO_THE_END = 2**63 - 1
_HAS_TRIANGLES = 14
# Where the size is not known: a matrix of more rows has no place in memory.
_LARGEST_TRIANGLE = 2**16
# From this opset on the axes of reductions are an input, and whole numbers have operators of their bits.
_AXES_ARE_INPUTS = 18

# Operator and first opset -> translation. The newest that is not too new wins, and the tracer's own of some begin at
# opsets 12 to 14. Attention as one operator, the default of transformers 5, has a translation from opset 14 on, but
# one that needs nothing newer than opset 11.
_TRANSLATIONS = {
    ("aten::__or_", LOWEST_OPSET): _or,
    ("aten::__ior_", LOWEST_OPSET): _or,
    ("aten::bitwise_or", LOWEST_OPSET): _or,
    ("aten::copy", LOWEST_OPSET): _copy,
    ("aten::diff", LOWEST_OPSET): _diff,
    ("aten::masked_fill", LOWEST_OPSET): _masked_fill,
    ("aten::masked_fill_", LOWEST_OPSET): _masked_fill,
    ("aten::mul", LOWEST_OPSET): _mul,
    ("aten::cumsum", LOWEST_OPSET): _cumsum,
    ("aten::expm1", LOWEST_OPSET): _expm1,
    ("aten::isin", LOWEST_OPSET): _isin,
    ("aten::linalg_solve_triangular", LOWEST_OPSET): _solve_triangular,
    ("aten::permute", LOWEST_OPSET): _permute,
    ("aten::rms_norm", LOWEST_OPSET): _rms_norm,
    ("aten::scaled_dot_product_attention", LOWEST_OPSET): symbolic_opset14.scaled_dot_product_attention,
    ("aten::_upsample_bilinear2d_aa", LOWEST_OPSET): _resize_by_triangles,
    ("aten::_upsample_bicubic2d_aa", LOWEST_OPSET): _resize_by_cubics,
    ("aten::unfold", 12): _unfold,
    ("aten::repeat_interleave", 13): _repeat_interleave,
    ("aten::where", 13): _where,
    ("aten::reshape", 14): _reshape,
    ("aten::view", 14): _reshape,
}
