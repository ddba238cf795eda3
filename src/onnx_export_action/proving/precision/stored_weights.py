"""Whether the weights that a variant stores are those of the fp32 file, as exactly as its types allow.

A wrong scale in one layer of many drowns in the noise of a coarse precision; here each number is looked at by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx

from onnx_export_action.proving.arrays import Array
from onnx_export_action.proving.precision.normal_float import NF4_LEVELS
from onnx_export_action.vocabulary.variants import BOUNDLESS, MASK_FILL

# How far a number may be off, in steps between two levels: half a step where both ends are levels, a whole one where
# the largest number or the zero has no level of its own. For NormalFloat in sizes of the block: half its widest gap.
_STEPS, _NORMAL_FLOAT = 1.05, 0.16
_FLOAT16_RELATIVE, _FLOAT16_LEAST = 2.0**-10, 6e-8
_BFLOAT16_RELATIVE = 2.0**-7


def misstored_weights(variant: Path, exact: Path) -> list[str]:
    """Names of the weights that the ``variant`` stores otherwise than the fp32 file ``exact``."""
    stored = {tensor.name: tensor for tensor in onnx.load(variant).graph.initializer}
    return [
        tensor.name
        for tensor in onnx.load(exact).graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and not all(_fitting(tensor, stored))
    ]


def _fitting(tensor: onnx.TensorProto, stored: dict[str, onnx.TensorProto]) -> Iterator[bool]:
    """For each form in which the variant holds the weight: whether it holds the same numbers."""
    name = tensor.name
    expected = onnx.numpy_helper.to_array(tensor)
    arrays = {
        part: onnx.numpy_helper.to_array(stored[f"{name}{part}"])
        for part in ("", "_bf16", "_quantized", "_scale", "_zero_point", "_Q4", "_scales", "_Bnb4", "_absmax")
        if f"{name}{part}" in stored
    }
    if "" in arrays:
        # A Gemm may have become a product, whose weight stands the other way.
        turned = expected.ndim == 2 and _same(arrays[""], expected.T)  # noqa: PLR2004 - a matrix
        yield turned or _same(arrays[""], expected)
    if "_bf16" in arrays:
        yield _within(arrays["_bf16"].astype(np.float32), expected, np.abs(expected) * _BFLOAT16_RELATIVE)
    if {"_quantized", "_scale", "_zero_point"} <= arrays.keys():
        yield _same_eight_bits(arrays["_quantized"], arrays["_scale"], arrays["_zero_point"], expected)
    if {"_Q4", "_scales"} <= arrays.keys():
        yield _same_four_bits(arrays["_Q4"], arrays["_scales"].astype(np.float32), expected)
    if {"_Bnb4", "_absmax"} <= arrays.keys():
        yield _same_normal_float(arrays["_Bnb4"], arrays["_absmax"].astype(np.float32), expected)


def _same(found: Array, expected: Array) -> bool:
    """In float32 exactly, in float16 as near as that comes."""
    if found.dtype == np.float32:
        return found.shape == expected.shape and bool(np.array_equal(found, expected, equal_nan=True))
    allowed = np.maximum(np.abs(expected) * _FLOAT16_RELATIVE, _FLOAT16_LEAST)
    limited = np.where(np.abs(expected) > BOUNDLESS, np.clip(expected, -MASK_FILL, MASK_FILL), expected)
    return _within(found.astype(np.float32), limited, allowed)


def _within(found: Array, expected: Array, allowed: Array) -> bool:
    if found.shape != expected.shape:
        return False
    finite = np.isfinite(expected)
    return bool((np.abs(found - expected)[finite] <= allowed[finite]).all())


def _same_eight_bits(quantised: Array, scale: Array, zero: Array, expected: Array) -> bool:
    """One scale for all, or one for each of the last axis' channels, as products have them."""
    numbers = (quantised.astype(np.float32) - zero.astype(np.float32)) * scale
    allowed = np.broadcast_to(np.abs(scale) * _STEPS, numbers.shape)
    return _within(numbers, expected, allowed) or (expected.ndim == 2 and _within(numbers, expected.T, allowed))  # noqa: PLR2004


def _same_four_bits(packed: Array, scales: Array, expected: Array) -> bool:
    """``packed``: (channels, blocks, bytes of a block), two numbers a byte, low half first; level 8 is zero."""
    if expected.ndim < 2:  # noqa: PLR2004 - a product's weight
        return False
    channels, blocks, _ = packed.shape
    levels = np.stack([packed & 0x0F, packed >> 4], axis=-1).reshape(channels, blocks, -1).astype(np.float32) - 8.0
    by_block = scales.reshape(channels, blocks, 1)
    numbers = (levels * by_block).reshape(channels, -1)
    allowed = np.broadcast_to(np.abs(by_block) * _STEPS, levels.shape).reshape(channels, -1)
    return _as_rows(numbers, expected, allowed)


def _same_normal_float(packed: Array, largest: Array, expected: Array) -> bool:
    """``packed`` holds the rows of channels one after the other, two numbers a byte, high half first."""
    levels = np.stack([packed >> 4, packed & 0x0F], axis=-1).reshape(-1)[: expected.size]
    block = -(-expected.size // largest.size)
    size = 1 << (block - 1).bit_length()
    scale = np.repeat(largest, size)[: expected.size]
    channels = expected.shape[-1]
    shape = (channels, expected.size // channels)
    numbers = np.array(NF4_LEVELS, np.float32)[levels] * scale
    return any(
        _as_rows(numbers.reshape(form), expected, (scale * _NORMAL_FLOAT).reshape(form))
        for form in (shape, shape[::-1])
    )


def _as_rows(numbers: Array, expected: Array, allowed: Array) -> bool:
    """``numbers`` and ``allowed``: one row a channel, filled up at its end; ``expected`` either way round."""
    matrix = expected.reshape(expected.shape[-2], expected.shape[-1])
    for rows in (matrix.T, matrix):
        if rows.shape[0] == numbers.shape[0] and rows.shape[1] <= numbers.shape[1]:
            length = rows.shape[1]
            if _within(numbers[:, :length], rows, allowed[:, :length]):
                return True
    return False
