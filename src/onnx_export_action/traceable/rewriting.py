"""Calls that the tracer cannot record or translate, answered by calls that it can.

They are rewritten where a model calls them, in terms of torch: each stands for the whole range of its arguments, and
can be tested against the function that it replaces. What only ONNX' own operators can say is in ``symbolics``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from onnx_export_action.traceable import complex_numbers

Function = Callable[..., Any]

# Rows of tensors -> the tensor, and which row of it.
_ROWS: WeakIdKeyDictionary = WeakIdKeyDictionary()
# Tensors of places -> how many there could be.
_ALL_PLACES: WeakIdKeyDictionary = WeakIdKeyDictionary()

_REWRITTEN: dict[Any, Function] = {**complex_numbers.MAKING}


class Rewriting(TorchFunctionMode):
    """While it is entered, models call what can be traced."""

    def __torch_function__(self, function: Any, _types: object, args: Any = (), kwargs: Any = None) -> Any:
        """Whatever torch is asked for."""
        kwargs = kwargs or {}
        rewritten = _REWRITTEN.get(function)
        if rewritten is None:
            return function(*args, **kwargs)
        if not args and "input" in kwargs:  # as torch calls the first of most
            args = (kwargs.pop("input"),)
        return rewritten(*args, **kwargs)


@contextmanager
def rewritten_calls(_: torch.nn.Module) -> Iterator[None]:
    """Let models call what can be traced."""
    with Rewriting():
        yield


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


@_instead_of(torch.repeat_interleave, torch.Tensor.repeat_interleave)
def _repeat_interleave(tensor: torch.Tensor, repeats: Any = None, dim: int | None = None, **kwargs: Any) -> Any:
    """``torch.repeat_interleave`` as often as a size says, which the tracer takes for a number an element."""
    if dim is None or not (isinstance(repeats, torch.Tensor) and repeats.dim() == 0):
        return torch.repeat_interleave(tensor, *() if repeats is None else (repeats, dim), **kwargs)
    axis = dim % tensor.dim()
    sizes = [-1] * (tensor.dim() + 1)
    sizes[axis + 1] = repeats
    return tensor.unsqueeze(axis + 1).expand(sizes).flatten(axis, axis + 1)


@_instead_of(torch.Tensor.index_add)
def _index_add(tensor: torch.Tensor, dim: int, index: torch.Tensor, source: torch.Tensor, **kwargs: Any) -> Any:
    """``tensor.index_add``, which the tracer's own translation gets wrong where an index occurs twice."""
    if kwargs.get("alpha", 1) != 1:
        source = source * kwargs["alpha"]
    beside = [1] * source.dim()
    beside[dim] = -1
    return tensor.scatter_add(dim, index.reshape(beside).expand(source.shape), source)


@_instead_of(torch.Tensor.index_add_)
def _index_add_in_place(
    tensor: torch.Tensor, dim: int, index: torch.Tensor, source: torch.Tensor, **kwargs: Any
) -> Any:
    """``tensor.index_add_``."""
    return tensor.copy_(_index_add(tensor, dim, index, source, **kwargs))


@_instead_of(torch.Tensor.nonzero)
def _nonzero(tensor: torch.Tensor, **kwargs: Any) -> Any:
    """``tensor.nonzero()``, which remembers how many places there are."""
    places = tensor.nonzero(**kwargs)
    if tensor.dim() == 1 and isinstance(places, torch.Tensor):
        _ALL_PLACES[places] = tensor.shape[0]
    return places


@_instead_of(torch.Tensor.unbind, torch.unbind)
def _unbind(tensor: torch.Tensor, dim: int = 0) -> Any:
    """A Python loop over the places where something is: over all places, as a trace is of all inputs.

    Experts are computed so, each that some token chose (``for expert_idx in expert_hit``); one that none chose adds
    nothing.
    """
    if dim == 0 and tensor in _ALL_PLACES:
        return [torch.tensor([place]) for place in range(_ALL_PLACES[tensor])]
    rows = tensor.unbind(dim)
    if dim == 0:
        for place, row in enumerate(rows):
            _ROWS[row] = tensor, place
    return rows


@_instead_of(torch.cat, torch.concat)
def _cat(tensors: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
    """``torch.cat`` of a tensor's own rows, however many: LLaVA puts the images of a batch in a list and back."""
    whole = _whole(tensors, *args, **kwargs)
    return torch.cat(tensors, *args, **kwargs) if whole is None else whole.flatten(0, 1)


@_instead_of(torch.stack)
def _stack(tensors: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
    """``torch.stack`` of a tensor's own rows."""
    whole = _whole(tensors, *args, **kwargs)
    return torch.stack(tensors, *args, **kwargs) if whole is None else whole


def _whole(rows: Any, *args: Any, **kwargs: Any) -> torch.Tensor | None:
    """The tensor that has these rows and no others, in this order, if they are put together along the first axis."""
    known = [_ROWS.get(row) for row in rows] if isinstance(rows, (list, tuple)) else []
    if not known or known[0] is None or {*args, *kwargs.values()} - {0}:
        return None
    whole = known[0][0]
    same = all(entry is not None and entry[0] is whole and entry[1] == place for place, entry in enumerate(known))
    return whole if same and len(known) == int(whole.shape[0]) and whole.dim() > 1 else None


@_instead_of(torch.Tensor.tolist)
def _tolist(tensor: torch.Tensor) -> Any:
    """``tensor.tolist()``, whose whole numbers remember where they come from."""
    if tensor.dim() != 1 or tensor.is_floating_point() or tensor.dtype == torch.bool:
        return tensor.tolist()
    return [_Number(value, tensor[place]) for place, value in enumerate(tensor.tolist())]


class _Number(int):
    """A whole number that was read from a tensor, and that tensor."""

    tensor: torch.Tensor

    def __new__(cls, value: int, tensor: torch.Tensor) -> Self:
        number = super().__new__(cls, value)
        number.tensor = tensor
        return number


@_instead_of(torch.split, torch.Tensor.split, torch.functional.split)
def _split(tensor: torch.Tensor, *args: Any, dim: int = 0, **kwargs: Any) -> Any:
    """``torch.split`` into parts as long as a tensor says, as experts that are given their tokens one after another."""
    sizes, dim = (*args, *kwargs.values(), dim)[:2]
    if not isinstance(sizes, (list, tuple)) or not all(isinstance(size, _Number) for size in sizes):
        return torch.split(tensor, sizes, dim)
    ends = torch.stack([size.tensor for size in sizes]).cumsum(0)
    starts = torch.cat((torch.zeros(1, dtype=ends.dtype), ends))
    first = tensor.transpose(0, dim)
    return tuple(first[starts[number] : ends[number]].transpose(0, dim) for number in range(len(sizes)))


@_instead_of(torch.eye)
def _eye(n: Any, m: Any = None, *, dtype: torch.dtype | None = None, **_: Any) -> torch.Tensor:
    """``torch.eye`` of any type: ONNX Runtime (1.31) has no EyeLike of truth values."""
    columns = torch.arange(n if m is None else m)
    return (torch.arange(n).unsqueeze(1) == columns).to(dtype or torch.get_default_dtype())


@_instead_of(functional.fold)
def _fold(
    parts: torch.Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> torch.Tensor:
    """``fold`` to a size that the input says: a transposed convolution that puts each number where it belongs.

    The tracer's own translation needs the size as a constant, and ONNX Runtime (1.31) has no Col2Im before opset 18.
    """
    pairs = (kernel_size, dilation, padding, stride)
    kernel, gaps, margins, steps = (pair if isinstance(pair, (tuple, list)) else (pair, pair) for pair in pairs)
    height, width = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    rows, columns = (
        (size + 2 * margin - gap * (window - 1) - 1) // step + 1
        for size, window, gap, margin, step in zip((height, width), kernel, gaps, margins, steps, strict=True)
    )
    window, channels = kernel[0] * kernel[1], int(parts.shape[-2]) // (kernel[0] * kernel[1])
    weight = torch.eye(window).reshape(window, 1, *kernel).repeat(channels, 1, 1, 1)
    numbers = parts.reshape(*parts.shape[:-1], rows, columns)
    folded = functional.conv_transpose2d(numbers, weight, None, steps, 0, 0, channels, gaps)
    below, beside = height + 2 * margins[0] - folded.shape[-2], width + 2 * margins[1] - folded.shape[-1]
    padded = functional.pad(folded, (0, beside, 0, below))
    return padded[..., margins[0] : margins[0] + height, margins[1] : margins[1] + width]


@_instead_of(functional.scaled_dot_product_attention)
def _attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """Attention with fewer heads of keys than of queries, which the tracer refuses: each as often as it is needed."""
    if kwargs.pop("enable_gqa", False):
        groups = int(query.shape[-3]) // int(key.shape[-3])
        key, value = (
            heads.unsqueeze(-3)
            .expand(*heads.shape[:-2], groups, *heads.shape[-2:])
            .reshape(*heads.shape[:-3], int(heads.shape[-3]) * groups, *heads.shape[-2:])
            for heads in (key, value)
        )
    return functional.scaled_dot_product_attention(query, key, value, *args, **kwargs)


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
