"""PyTorch rounds as files of 16 bits do: fp16 all numbers, bf16 weights alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from onnx_export_action.proving.precision.simulation import SimulatedPrecision
from onnx_export_action.vocabulary.variants import BOUNDLESS, MASK_FILL, WEIGHT_ELEMENTS


def bf16(mode: SimulatedPrecision, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Weights are rounded where they are read."""
    large = [mode.is_weight(value) and value.numel() >= WEIGHT_ELEMENTS for value in args]
    taken = [mode.drawn(v, _in_bfloat16(v)) if rounded else v for v, rounded in zip(args, large, strict=True)]
    return func(*taken, **kwargs)


def fp16(mode: SimulatedPrecision, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Weights and results are rounded."""
    taken = [mode.drawn(value, _in_float16(value)) if mode.is_weight(value) else value for value in args]
    result = func(*taken, **kwargs)
    if not isinstance(result, torch.Tensor) or result.dtype is not torch.float32 or _is_view(result, args):
        return result
    return _in_float16(result)


def _is_view(result: torch.Tensor, arguments: tuple[Any, ...]) -> bool:
    """Whether it is an argument, or part of one: what is written into it must reach the whole."""
    storage = result.untyped_storage().data_ptr()
    return any(isinstance(one, torch.Tensor) and one.untyped_storage().data_ptr() == storage for one in arguments)


def _in_float16(tensor: torch.Tensor) -> torch.Tensor:
    lowered = torch.where(tensor.abs() > BOUNDLESS, tensor.clamp(-MASK_FILL, MASK_FILL), tensor)
    return lowered.to(torch.float16).to(torch.float32)


def _in_bfloat16(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.bfloat16).to(torch.float32)
