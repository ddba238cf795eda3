"""PyTorch computes GELU as the files of O3 and O4 do: by its tanh form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from onnx_export_action.proving.precision.simulation import SimulatedPrecision
from onnx_export_action.proving.precision.sixteen_bits import fp16


def tanh_gelu(_: SimulatedPrecision, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """GELU by its tanh form (https://arxiv.org/abs/1606.08415, section 2), also where a model writes out its erf."""
    if func.__name__ == "gelu":
        return func(args[0], approximate="tanh")
    if func.__name__ == "erf" and not kwargs:
        number = args[0] * math.sqrt(2.0)
        return torch.tanh(math.sqrt(2.0 / math.pi) * (number + 0.044715 * number**3))
    return func(*args, **kwargs)


def tanh_gelu_in_float16(
    mode: SimulatedPrecision, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """The tanh form, with weights and results in float16."""
    return fp16(mode, lambda *given, **named: tanh_gelu(mode, func, given, named), args, kwargs)
