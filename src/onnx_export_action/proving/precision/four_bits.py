"""PyTorch rounds as 4-bit files do: the weights of products, in blocks that share a scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from onnx_export_action.proving.precision.normal_float import NF4_LEVELS
from onnx_export_action.proving.precision.simulation import (
    PRODUCTS,
    Call,
    SimulatedPrecision,
    by_channel,
    product,
)
from onnx_export_action.proving.precision.sixteen_bits import fp16

BlockRounding = Callable[[torch.Tensor, int], torch.Tensor]


def _four_bits(weight: BlockRounding, then: Call | None = None) -> Call:
    """4-bit weights of products; ``then`` is what happens to everything else."""

    def call(mode: SimulatedPrecision, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        found = product(mode, PRODUCTS, func.__name__, args)
        given = list(args)
        if found is not None:
            place, axis = found
            rounded = by_channel(args[place], axis, lambda rows: weight(rows, mode.variant.block_size))
            given[place] = mode.drawn(args[place], rounded)
        return func(*given, **kwargs) if then is None else then(mode, func, tuple(given), kwargs)

    return call


def _in_blocks(rows: torch.Tensor, size: int) -> tuple[torch.Tensor, int]:
    """Rows cut into blocks, the last one filled with zeros; and the length of a row."""
    length = rows.shape[-1]
    padded = torch.nn.functional.pad(rows, (0, -length % size))
    return padded.reshape(rows.shape[0], -1, size), length


def _even(rows: torch.Tensor, block_size: int) -> torch.Tensor:
    """16 levels a block: the number of the largest size is level -8."""
    blocks, length = _in_blocks(rows, block_size)
    extreme = blocks.gather(-1, blocks.abs().argmax(dim=-1, keepdim=True))
    scale = extreme / -8
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    return ((blocks / scale).round().clamp(-8, 7) * scale).reshape(rows.shape[0], -1)[:, :length]


def _normal_float(rows: torch.Tensor, block_size: int) -> torch.Tensor:
    blocks, _ = _in_blocks(rows.reshape(1, -1), block_size)
    scale = blocks.abs().amax(dim=-1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    levels = torch.tensor(NF4_LEVELS)
    borders = (levels[1:] + levels[:-1]) / 2
    rounded = levels[torch.bucketize(blocks / scale, borders)] * scale
    return rounded.reshape(-1)[: rows.numel()].reshape(rows.shape)


q4 = _four_bits(_even)
q4f16 = _four_bits(_even, fp16)
bnb4 = _four_bits(_normal_float)
