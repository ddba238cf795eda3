"""What a precision costs a model: the untouched PyTorch model with its numbers rounded as a variant stores them.

The rounding is written here once more, apart from the tools that make the files, so that what it costs is known
without them: a file that loses much more than its precision must is wrong. It is that of weights where products read
them and, for 8 bits, of what they are multiplied with. A variant's row names its imitation
(:mod:`onnx_export_action.vocabulary.variants`).
"""

from __future__ import annotations

import itertools
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from onnx_export_action.vocabulary.variants import BOUNDLESS, Variant

Rounding = Callable[[torch.Tensor], torch.Tensor]

# Products: where the weight stands among the arguments, and its axis of output channels; a convolution's weight has one
# scale for all of it.
PRODUCTS: Mapping[str, tuple[int, int | None]] = {
    "linear": (1, 0),
    "addmm": (2, 1),
    "mm": (1, -1),
    "matmul": (1, -1),
    "__matmul__": (1, -1),
}
CONVOLUTIONS: Mapping[str, tuple[int, int | None]] = {
    f"{name}{axes}d": (1, None) for name in ("conv", "conv_transpose") for axes in (1, 2, 3)
}


class SimulatedPrecision(TorchFunctionMode):
    """While active, what ``model`` computes is rounded as ``variant``, which has an imitation, rounds it.

    Draw 0 rounds the weights as the file does. Every other draw rounds them as far, some of them to the other side: the
    same precision by other accidents.
    """

    def __init__(self, model: torch.nn.Module, variant: Variant, *, convolves: bool, draw: int = 0) -> None:
        super().__init__()
        self._sides = None if draw == 0 else torch.Generator().manual_seed(draw)
        self.variant = variant
        self.convolves = convolves
        tensors = itertools.chain(model.parameters(), model.buffers())
        self._storages = {tensor.untyped_storage().data_ptr() for tensor in tensors}
        self._round_call: Call = pkgutil.resolve_name(f"onnx_export_action.proving.precision.{variant.imitation}")

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return self._round_call(self, func, args, kwargs or {})

    def drawn(self, weight: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
        """What this draw has instead of the ``rounded`` weight: the same errors, every other one reversed by chance."""
        if self._sides is None:
            return rounded
        sides = torch.randint(0, 2, weight.shape, generator=self._sides, dtype=torch.bool)
        # What stands for "nothing" (the lowest float32) is replaced, not rounded.
        return torch.where(sides | (weight.abs() > BOUNDLESS), rounded, 2 * weight - rounded)

    def is_weight(self, value: Any) -> bool:
        """Whether it is one of the model's parameters or buffers, or a view of one."""
        return (
            isinstance(value, torch.Tensor)
            and value.dtype is torch.float32
            and value.untyped_storage().data_ptr() in self._storages
        )


class Convolutions(TorchFunctionMode):
    """Notes whether anything convolves while it is active: 8-bit files with convolutions have unsigned weights."""

    def __init__(self) -> None:
        super().__init__()
        self.called = False

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.called |= func.__name__ in CONVOLUTIONS
        return func(*args, **(kwargs or {}))


Call = Callable[[SimulatedPrecision, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


def product(
    mode: SimulatedPrecision, products: Mapping[str, tuple[int, int | None]], name: str, args: tuple[Any, ...]
) -> tuple[int, int | None] | None:
    """Where among ``args`` a product has a weight of the model, and its axis of channels; None of any other call."""
    place, axis = products.get(name, (-1, 0))
    if 0 <= place < len(args) and mode.is_weight(args[place]) and args[place].ndim > 1:
        return place, axis
    return None


def by_channel(weight: torch.Tensor, axis: int | None, rounding: Rounding) -> torch.Tensor:
    """Round ``weight`` as a matrix of one row per output channel, or as one row where ``axis`` is None."""
    if axis is None:
        return rounding(weight.reshape(1, -1)).reshape(weight.shape)
    moved = weight.movedim(axis, 0)
    return rounding(moved.reshape(moved.shape[0], -1)).reshape(moved.shape).movedim(0, axis)
