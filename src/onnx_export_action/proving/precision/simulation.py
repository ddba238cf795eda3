"""What a precision costs a model: the untouched PyTorch model with its numbers rounded as a variant stores them.

The rounding is written here once more, apart from the tools that make the files, so that what it costs is known
without them: a file that loses much more than its precision must is wrong. It is that of weights where products read
them and, for 8 bits, of what they are multiplied with (:mod:`onnx_export_action.variants.making` says what each is).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from onnx_export_action.proving.precision.normal_float import NF4_LEVELS
from onnx_export_action.vocabulary.variants import MASK_FILL

_SMALLEST_BFLOAT16 = 1024  # elements; smaller tensors stay as they are in these files
_BOUNDLESS = 1e30  # numbers beyond it mean infinity
_Q4_BLOCK, _BNB4_BLOCK = 32, 64

Rounding = Callable[[torch.Tensor], torch.Tensor]

# Products: where the weight stands among the arguments, and its axis of output channels; a convolution's weight has one
# scale for all of it.
_PRODUCTS: Mapping[str, tuple[int, int | None]] = {
    "linear": (1, 0),
    "addmm": (2, 1),
    "mm": (1, -1),
    "matmul": (1, -1),
    "__matmul__": (1, -1),
}
_CONVOLUTIONS: Mapping[str, tuple[int, int | None]] = {
    f"{name}{axes}d": (1, None) for name in ("conv", "conv_transpose") for axes in (1, 2, 3)
}


class SimulatedPrecision(TorchFunctionMode):
    """While active, what ``model`` computes is rounded as ``variant`` rounds it."""

    def __init__(self, model: torch.nn.Module, variant: str, *, convolves: bool) -> None:
        super().__init__()
        tensors = itertools.chain(model.parameters(), model.buffers())
        self._storages = {tensor.untyped_storage().data_ptr() for tensor in tensors}
        self._round_call = _ROUNDINGS[("uint8" if convolves else "int8") if variant == "q8" else variant]

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return self._round_call(self, func, args, kwargs or {})

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
        self.called |= func.__name__ in _CONVOLUTIONS
        return func(*args, **(kwargs or {}))


Call = Callable[[SimulatedPrecision, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


def _bf16(mode: SimulatedPrecision, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    large = [mode.is_weight(value) and value.numel() >= _SMALLEST_BFLOAT16 for value in args]
    return func(*[_in_bfloat16(v) if rounded else v for v, rounded in zip(args, large, strict=True)], **kwargs)


def _fp16(mode: SimulatedPrecision, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    result = func(*[_in_float16(value) if mode.is_weight(value) else value for value in args], **kwargs)
    if not isinstance(result, torch.Tensor) or result.dtype is not torch.float32 or _is_view(result, args):
        return result
    return _in_float16(result)


def _tanh_gelu(_: SimulatedPrecision, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """GELU by its tanh form (https://arxiv.org/abs/1606.08415, section 2), also where a model writes out its erf."""
    if func.__name__ == "gelu":
        return func(args[0], approximate="tanh")
    if func.__name__ == "erf" and not kwargs:
        number = args[0] * math.sqrt(2.0)
        return torch.tanh(math.sqrt(2.0 / math.pi) * (number + 0.044715 * number**3))
    return func(*args, **kwargs)


def _tanh_gelu_in_float16(
    mode: SimulatedPrecision, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    return _fp16(mode, lambda *given, **named: _tanh_gelu(mode, func, given, named), args, kwargs)


def _is_view(result: torch.Tensor, arguments: tuple[Any, ...]) -> bool:
    """Whether it is an argument, or part of one: what is written into it must reach the whole."""
    storage = result.untyped_storage().data_ptr()
    return any(isinstance(one, torch.Tensor) and one.untyped_storage().data_ptr() == storage for one in arguments)


def _in_float16(tensor: torch.Tensor) -> torch.Tensor:
    lowered = torch.where(tensor.abs() > _BOUNDLESS, tensor.clamp(-MASK_FILL, MASK_FILL), tensor)
    return lowered.to(torch.float16).to(torch.float32)


def _in_bfloat16(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.bfloat16).to(torch.float32)


def _eight_bits(weight: Rounding, embedding: Rounding, *, convolutions: bool) -> Call:
    """8-bit products: ``weight`` rounds (channels, rest), the other factor takes 8 bits over its own range."""
    products = {**_PRODUCTS, **(_CONVOLUTIONS if convolutions else {})}

    def call(mode: SimulatedPrecision, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = func.__name__
        if name == "embedding" and len(args) > 1 and mode.is_weight(args[1]):
            return func(args[0], embedding(args[1]), *args[2:], **kwargs)
        found = _product(mode, products, name, args)
        if found is None:
            return func(*args, **kwargs)
        place, axis = found
        given = list(args)
        given[place] = _by_channel(args[place], axis, weight)
        given[place - 1] = _asymmetric(args[place - 1])
        return func(*given, **kwargs)

    return call


def _four_bits(weight: Rounding, then: Call | None = None) -> Call:
    """4-bit weights of products; ``then`` is what happens to everything else."""

    def call(mode: SimulatedPrecision, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        found = _product(mode, _PRODUCTS, func.__name__, args)
        given = list(args)
        if found is not None:
            place, axis = found
            given[place] = _by_channel(args[place], axis, weight)
        return func(*given, **kwargs) if then is None else then(mode, func, tuple(given), kwargs)

    return call


def _product(
    mode: SimulatedPrecision, products: Mapping[str, tuple[int, int | None]], name: str, args: tuple[Any, ...]
) -> tuple[int, int | None] | None:
    place, axis = products.get(name, (-1, 0))
    if 0 <= place < len(args) and mode.is_weight(args[place]) and args[place].ndim > 1:
        return place, axis
    return None


def _by_channel(weight: torch.Tensor, axis: int | None, rounding: Rounding) -> torch.Tensor:
    """Round ``weight`` as a matrix of one row per output channel, or as one row where ``axis`` is None."""
    if axis is None:
        return rounding(weight.reshape(1, -1)).reshape(weight.shape)
    moved = weight.movedim(axis, 0)
    return rounding(moved.reshape(moved.shape[0], -1)).reshape(moved.shape).movedim(0, axis)


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


def _in_blocks(rows: torch.Tensor, size: int) -> tuple[torch.Tensor, int]:
    """Rows cut into blocks, the last one filled with zeros; and the length of a row."""
    length = rows.shape[-1]
    padded = torch.nn.functional.pad(rows, (0, -length % size))
    return padded.reshape(rows.shape[0], -1, size), length


def _q4(rows: torch.Tensor) -> torch.Tensor:
    """16 levels a block: the number of the largest size is level -8."""
    blocks, length = _in_blocks(rows, _Q4_BLOCK)
    extreme = blocks.gather(-1, blocks.abs().argmax(dim=-1, keepdim=True))
    scale = extreme / -8
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    return ((blocks / scale).round().clamp(-8, 7) * scale).reshape(rows.shape[0], -1)[:, :length]


def _bnb4(rows: torch.Tensor) -> torch.Tensor:
    blocks, _ = _in_blocks(rows.reshape(1, -1), _BNB4_BLOCK)
    scale = blocks.abs().amax(dim=-1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    levels = torch.tensor(NF4_LEVELS)
    borders = (levels[1:] + levels[:-1]) / 2
    rounded = levels[torch.bucketize(blocks / scale, borders)] * scale
    return rounded.reshape(-1)[: rows.numel()].reshape(rows.shape)


_SIGNED = _eight_bits(_seven_bits_signed, _of_whole(_eight_bits_signed), convolutions=False)
_UNSIGNED = _eight_bits(_asymmetric_over, _asymmetric, convolutions=True)
_ROUNDINGS: Mapping[str, Call] = {
    "fp16": _fp16,
    "bf16": _bf16,
    "int8": _SIGNED,
    "uint8": _UNSIGNED,
    "q4": _four_bits(_q4),
    "q4f16": _four_bits(_q4, _fp16),
    "bnb4": _four_bits(_bnb4),
    "O3": _tanh_gelu,
    "O4": _tanh_gelu_in_float16,
}
