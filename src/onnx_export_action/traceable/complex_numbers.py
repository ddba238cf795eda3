"""Complex numbers as pairs of real ones: ONNX has operators for none of what models do with them.

Rotary positions (``torch.polar``, ``torch.view_as_complex``) and Fourier transforms are what models of transformers
5.23 use complex numbers for. ``rewriting`` puts these functions in the place of torch's while a model is traced.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

# Functions of a tensor that do to each part what they do to the whole.
_OF_EACH_PART = frozenset(
    ("contiguous", "detach", "expand", "flatten", "permute", "repeat", "reshape", "squeeze", "transpose", "unsqueeze")
) | frozenset(("clone", "view", "__getitem__"))


class Complex:
    """A complex tensor: its real and its imaginary part, tensors of one shape."""

    def __init__(self, real: torch.Tensor, imag: torch.Tensor) -> None:
        self.real = real
        self.imag = imag

    @classmethod
    def __torch_function__(cls, function: Any, _types: object, args: Any = (), kwargs: Any = None) -> Any:
        """What torch calls for a function of tensors that is given one of these."""
        handler = FUNCTIONS.get(function)
        if handler is not None:
            return handler(*args, **(kwargs or {}))
        message = f"{getattr(function, '__name__', function)} of complex numbers has no form that ONNX knows"
        raise NotImplementedError(message)

    @property
    def shape(self) -> torch.Size:
        """The shape, which both parts have."""
        return self.real.shape

    @property
    def device(self) -> torch.device:
        """Where the numbers are."""
        return self.real.device

    def to(self, *_: object, **__: object) -> Complex:
        """The same: a graph is made on one device, and in one precision."""
        return self

    def conj(self) -> Complex:
        """The conjugate."""
        return Complex(self.real, -self.imag)

    def __getattr__(self, name: str) -> Callable[..., Complex]:
        """Functions that change the shape alone."""
        if name not in _OF_EACH_PART:
            raise AttributeError(name)
        return lambda *args, **kwargs: Complex(
            getattr(self.real, name)(*args, **kwargs), getattr(self.imag, name)(*args, **kwargs)
        )

    def __getitem__(self, places: Any) -> Complex:
        """A part of the tensor."""
        return Complex(self.real[places], self.imag[places])

    def __mul__(self, other: Any) -> Complex:
        """The product with real or complex numbers."""
        return multiply(self, other)

    __rmul__ = __mul__


def multiply(one: Any, other: Any) -> Complex:
    """A product of which at least one factor is complex."""
    one, other = (_as_complex(factor) for factor in (one, other))
    if isinstance(one, Complex) and isinstance(other, Complex):
        real = one.real * other.real - one.imag * other.imag
        return Complex(real, one.real * other.imag + one.imag * other.real)
    pair, factor = (one, other) if isinstance(one, Complex) else (other, one)
    return Complex(pair.real * factor, pair.imag * factor)


def polar(absolute: torch.Tensor, angle: torch.Tensor) -> Complex:
    """``torch.polar``."""
    return Complex(absolute * angle.cos(), absolute * angle.sin())


def view_as_complex(pairs: torch.Tensor) -> Complex:
    """``torch.view_as_complex``: the last axis holds the real and the imaginary part."""
    return Complex(pairs[..., 0], pairs[..., 1])


def view_as_real(numbers: Complex) -> torch.Tensor:
    """``torch.view_as_real``."""
    return torch.stack((numbers.real, numbers.imag), dim=-1)


def fft(numbers: Any, n: Any = None, dim: int = -1, norm: str | None = None) -> Complex:
    """``torch.fft.fft``."""
    return fftn(numbers, None if n is None else [n], [dim], norm)


def fftn(numbers: Any, s: Sequence[Any] | None = None, dim: Any = None, norm: str | None = None) -> Complex:
    """``torch.fft.fftn``: one axis after the other."""
    whole = _as_complex(numbers)
    parts = (whole.real, whole.imag) if isinstance(whole, Complex) else (whole, torch.zeros_like(whole))
    real, imag = (part.double() for part in parts)
    axes = list(range(len(real.shape)) if dim is None else (dim,) if isinstance(dim, int) else dim)
    for axis, size in zip(axes, s or [None] * len(axes), strict=True):
        length = real.shape[axis] if size is None else size
        real, imag = (part if size is None else _cut(part, size, axis) for part in (real, imag))
        cosines, sines = _waves(length, real.shape[axis], length, norm, forward=True)
        real, imag = (
            _along(axis, real, cosines) + _along(axis, imag, sines),
            _along(axis, imag, cosines) - _along(axis, real, sines),
        )
    return Complex(real.float(), imag.float())


def rfft(numbers: torch.Tensor, n: Any = None, dim: int = -1, norm: str | None = None) -> Complex:
    """``torch.fft.rfft``: the frequencies up to half of the length, of real numbers."""
    length = numbers.shape[dim] if n is None else n
    cut = _cut(numbers.double(), length, dim)
    cosines, sines = _waves(length // 2 + 1, cut.shape[dim], length, norm, forward=True)
    return Complex(_along(dim, cut, cosines).float(), -_along(dim, cut, sines).float())


def irfft(numbers: Complex, n: Any = None, dim: int = -1, norm: str | None = None) -> torch.Tensor:
    """``torch.fft.irfft``: real numbers back from the frequencies up to half of the length."""
    length = 2 * (numbers.shape[dim] - 1) if n is None else n
    real, imag = (_cut(part.double(), length // 2 + 1, dim) for part in (numbers.real, numbers.imag))
    cosines, sines = _waves(length, real.shape[dim], length, norm, forward=False)
    frequencies = torch.arange(real.shape[dim])
    # All but the first and, of an even length, the last stand for their mirror image too.
    alone = (frequencies == 0) | (2 * frequencies == length)
    weights = torch.where(alone, 1.0, 2.0).double()
    return (_along(dim, real, cosines * weights) - _along(dim, imag, sines * weights)).float()


def _as_complex(numbers: Any) -> Any:
    """A tensor that is complex already, such as a buffer, becomes two constants of the graph."""
    if not isinstance(numbers, torch.Tensor) or not numbers.is_complex():
        return numbers
    values = numbers.detach().resolve_conj().numpy()
    return Complex(torch.from_numpy(values.real.copy()), torch.from_numpy(values.imag.copy()))


def _cut(numbers: torch.Tensor, length: Any, axis: int) -> torch.Tensor:
    """No more than ``length`` of an axis; what is missing counts as zero, and need not be there."""
    return numbers.transpose(axis, -1)[..., :length].transpose(axis, -1)


def _waves(rows: Any, columns: Any, length: Any, norm: str | None, *, forward: bool) -> tuple[torch.Tensor, ...]:
    """Cosines and sines of 2 pi row column / length, float64: a sum of many rounds less than float32's FFT does."""
    places = torch.arange(rows).unsqueeze(1) * torch.arange(columns)
    angles = (places % length).double() * (2 * math.pi) / length
    if norm == "ortho":
        scale = torch.as_tensor(length).double().rsqrt()
    else:
        scale = 1.0 if forward == (norm in (None, "backward")) else 1.0 / torch.as_tensor(length).double()
    return angles.cos() * scale, angles.sin() * scale


def _along(axis: int, numbers: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """The product of a matrix (rows, columns) with every row of numbers along an axis."""
    return torch.matmul(numbers.transpose(axis, -1), matrix.transpose(0, 1)).transpose(axis, -1)


FUNCTIONS: Mapping[Any, Callable[..., Any]] = {
    torch.view_as_real: view_as_real,
    torch.conj: Complex.conj,
    torch.mul: multiply,
    torch.Tensor.mul: multiply,
    torch.Tensor.__mul__: multiply,
    torch.Tensor.__rmul__: multiply,
    torch.fft.irfft: irfft,
    torch.fft.fft: fft,
    torch.fft.fftn: fftn,
}
"""Torch's functions of numbers that are complex already."""

MAKING: Mapping[Any, Callable[..., Any]] = {
    torch.polar: polar,
    torch.view_as_complex: view_as_complex,
    torch.fft.fft: fft,
    torch.fft.fftn: fftn,
    torch.fft.rfft: rfft,
}
"""Torch's functions that make complex numbers of real ones."""
