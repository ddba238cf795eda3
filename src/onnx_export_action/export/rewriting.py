"""Calls that the tracer cannot record or translate, answered by calls that it can.

They are rewritten where a model calls them, in terms of torch: each stands for the whole range of its arguments, and
can be tested against the function that it replaces. What only ONNX' own operators can say is in ``symbolics``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from onnx_export_action.export import complex_numbers

Function = Callable[..., Any]

_REWRITTEN: dict[Any, Function] = {**complex_numbers.MAKING}


class Rewriting(TorchFunctionMode):
    """While it is entered, models call what can be traced."""

    def __torch_function__(self, function: Any, _types: object, args: Any = (), kwargs: Any = None) -> Any:
        """Whatever torch is asked for."""
        return _REWRITTEN.get(function, function)(*args, **(kwargs or {}))


def _instead_of(*functions: Any) -> Callable[[Function], Function]:
    def register(rewritten: Function) -> Function:
        _REWRITTEN.update(dict.fromkeys(functions, rewritten))
        return rewritten

    return register


def _with_numbers(function: Function) -> Function:
    """``function``, given 0 and 1 for Python's truth values.

    A trace that holds one where a number may stand ends in an internal assertion ("We don't have an op for
    aten::scatter but it isn't a special case", https://github.com/pytorch/pytorch/issues/129094; seen with torch 2.13).
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        numbers = (int(value) if isinstance(value, bool) else value for value in args)
        for name in ("value", "fill_value"):
            if isinstance(kwargs.get(name), bool):
                kwargs[name] = int(kwargs[name])
        return function(*numbers, **kwargs)

    return call


# The result has the tensor's own type, whatever the number's.
_OF_THE_TENSORS_TYPE = ("fill_", "index_fill", "index_fill_", "masked_fill", "masked_fill_", "scatter", "scatter_")
for _name in (*_OF_THE_TENSORS_TYPE, "new_full"):
    _REWRITTEN[getattr(torch.Tensor, _name)] = _with_numbers(getattr(torch.Tensor, _name))
for _name in ("full_like", "index_fill", "masked_fill", "scatter"):
    _REWRITTEN[getattr(torch, _name)] = _with_numbers(getattr(torch, _name))


@_instead_of(torch.full)
def _full(size: Any, fill_value: Any, **kwargs: Any) -> torch.Tensor:
    """``torch.full``, of the type of what it is filled with; the tracer would make it float32."""
    if isinstance(fill_value, int):
        kwargs["dtype"] = kwargs.get("dtype") or (torch.bool if isinstance(fill_value, bool) else torch.int64)
        fill_value = int(fill_value)
    return torch.full(size, fill_value, **kwargs)


@_instead_of(torch.where, torch.Tensor.where)
def _where(*args: Any, **kwargs: Any) -> Any:
    """``torch.where`` between truth values."""
    return torch.where(*(torch.tensor(value) if isinstance(value, bool) else value for value in args), **kwargs)


@_instead_of(torch.Tensor.__setitem__)
def _set_item(tensor: torch.Tensor, places: Any, value: Any) -> None:
    """``tensor[mask] = row``: the same row wherever a mask is true, which the tracer would write once for each of them
    in the traced input.
    """
    is_mask = isinstance(places, torch.Tensor) and places.dtype == torch.bool
    if is_mask and isinstance(value, torch.Tensor) and 1 <= value.dim() <= tensor.dim() - places.dim():
        mask = places.reshape(*places.shape, *[1] * (tensor.dim() - places.dim()))
        value, places = torch.where(mask, value.to(tensor.dtype), tensor), slice(None)
    tensor[places] = value


@_instead_of(torch.eye)
def _eye(n: Any, m: Any = None, *, dtype: torch.dtype | None = None, **_: Any) -> torch.Tensor:
    """``torch.eye`` of any type: ONNX Runtime (1.31) has no EyeLike of truth values."""
    columns = torch.arange(n if m is None else m)
    return (torch.arange(n).unsqueeze(1) == columns).to(dtype or torch.get_default_dtype())


@_instead_of(torch.cummax, torch.Tensor.cummax)
def _cummax(values: torch.Tensor, dim: int) -> Any:
    """``torch.cummax``: of each place the largest up to there, and the last place that has it."""
    return torch.return_types.cummax(_running(values, dim, torch.Tensor.amax))


@_instead_of(torch.cummin, torch.Tensor.cummin)
def _cummin(values: torch.Tensor, dim: int) -> Any:
    """``torch.cummin``."""
    return torch.return_types.cummin(_running(values, dim, torch.Tensor.amin))


def _running(values: torch.Tensor, dim: int, choose: Function) -> tuple[torch.Tensor, torch.Tensor]:
    """Every place beside every other: the square of an axis, which is a text's length at most."""
    row = values.transpose(dim, -1)
    places = torch.arange(row.shape[-1])
    # A place that comes later counts as the first one, which always counts.
    earlier = torch.where(places <= places.unsqueeze(-1), places, 0)
    beside = row[..., earlier]
    chosen = choose(beside, -1)
    last = torch.where(beside == chosen.unsqueeze(-1), earlier, 0).amax(-1)
    return chosen.transpose(dim, -1), last.transpose(dim, -1)


@_instead_of(torch.scatter_reduce, torch.Tensor.scatter_reduce)
def _scatter_reduce(
    values: torch.Tensor,
    dim: int,
    index: torch.Tensor,
    src: torch.Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> torch.Tensor:
    """``torch.scatter_reduce`` also where the values that were there do not count, and for means."""
    if include_self and reduce != "mean":
        return torch.scatter_reduce(values, dim, index, src, reduce)
    counts = torch.zeros_like(values).scatter_add(dim, index, torch.ones_like(src))
    reached = counts > 0
    if not include_self:
        values = torch.where(reached, torch.full_like(values, _neutral(reduce, values.dtype)), values)
    if reduce != "mean":
        return torch.scatter_reduce(values, dim, index, src, reduce)
    counts = counts + 1 if include_self else counts.clamp(min=1)
    sums = values.scatter_add(dim, index, src)
    return sums / counts if values.is_floating_point() else sums.div(counts, rounding_mode="floor")


def _neutral(reduce: str, dtype: torch.dtype) -> float:
    """What changes nothing where it is reduced with something."""
    if reduce in ("sum", "mean", "prod"):
        return 1 if reduce == "prod" else 0
    limits = torch.finfo(dtype) if dtype.is_floating_point else torch.iinfo(dtype)
    return limits.min if reduce == "amax" else limits.max
