"""PyTorch rounds as 8-bit files do: weights once, the other factor of a product over its own range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from onnx_export_action.proving.precision.simulation import (
    CONVOLUTIONS,
    PRODUCTS,
    Call,
    Rounding,
    SimulatedPrecision,
    by_channel,
    product,
)


def _eight_bits(weight: Rounding, embedding: Rounding, *, convolutions: bool) -> Call:
    """8-bit products: ``weight`` rounds (channels, rest), the other factor takes 8 bits over its own range."""
    products = {**PRODUCTS, **(CONVOLUTIONS if convolutions else {})}

    def call(mode: SimulatedPrecision, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = func.__name__
        if name == "embedding" and len(args) > 1 and mode.is_weight(args[1]):
            return func(args[0], mode.drawn(args[1], embedding(args[1])), *args[2:], **kwargs)
        found = product(mode, products, name, args)
        if found is None:
            return func(*args, **kwargs)
        place, axis = found
        given = list(args)
        given[place] = mode.drawn(args[place], by_channel(args[place], axis, weight))
        given[place - 1] = _asymmetric(args[place - 1])
        return func(*given, **kwargs)

    return call


def _seven_bits_signed(rows: torch.Tensor) -> torch.Tensor:
    scale = (rows.abs().amax(dim=-1, keepdim=True) / 64).clamp(min=torch.finfo(torch.float32).tiny)
    return (rows / scale).round().clamp(-64, 64) * scale


def _eight_bits_signed(rows: torch.Tensor) -> torch.Tensor:
    scale = (rows.abs().amax(dim=-1, keepdim=True) / 127).clamp(min=torch.finfo(torch.float32).tiny)
    return (rows / scale).round().clamp(-127, 127) * scale


def _asymmetric(tensor: torch.Tensor) -> torch.Tensor:
    """256 levels from the smallest to the largest number, zero among them."""
    return _asymmetric_over(tensor.reshape(1, -1)).reshape(tensor.shape) if tensor.numel() else tensor


def _asymmetric_over(rows: torch.Tensor) -> torch.Tensor:
    low = rows.amin(dim=-1, keepdim=True).clamp(max=0.0)
    high = rows.amax(dim=-1, keepdim=True).clamp(min=0.0)
    scale = ((high - low) / 255).clamp(min=torch.finfo(torch.float32).tiny)
    zero = (-low / scale).round()
    return ((rows / scale + zero).round().clamp(0, 255) - zero) * scale


def _of_whole(rounding: Rounding) -> Rounding:
    """One scale for the whole tensor."""
    return lambda tensor: rounding(tensor.reshape(1, -1)).reshape(tensor.shape)


int8 = _eight_bits(_seven_bits_signed, _of_whole(_eight_bits_signed), convolutions=False)
uint8 = _eight_bits(_asymmetric_over, _asymmetric, convolutions=True)


def q8(mode: SimulatedPrecision, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Unsigned where the model convolves."""
    return (uint8 if mode.convolves else int8)(mode, func, args, kwargs)
