"""Runs a float32 model in float64 without changing it: every operator is given, and gives, float64.

``model.double()`` would double the memory, and would not reach what a model's own code casts: most norms and softmaxes
of transformers go to float32 by name, and their rounding would stay. Here the weights stay as they are; each operator
gets float64 copies of its float32 arguments, and makes float64 where it is told to make float32.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, TypeVar

import torch

from onnx_export_action.traceable.private_names import DISPATCH_MODE, GROUPED_PRODUCT, TREE_MAP

_WIDE = {torch.float32: torch.float64, torch.complex64: torch.complex128}
# They only pick rows: the rows are made float64, not the table.
_PICKS = {torch.ops.aten.embedding.default, torch.ops.aten.index_select.default}
_GROUPED_PRODUCTS = {GROUPED_PRODUCT.find().default}

_DispatchMode: Any = DISPATCH_MODE.find()
_tree_map_only: Any = TREE_MAP.find()


class Float64Mode(_DispatchMode):
    """While active, float32 arithmetic of PyTorch is done in float64.

    ``flops`` counts the operations of products and convolutions, ``copied`` the elements that were made float64.

    Raises:
        NotImplementedError: an operator writes float64 into a float32 tensor that was there before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0
        self.copied = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by PyTorch with each operator that it is about to run."""
        kwargs = kwargs or {}
        if func.is_view:  # whoever reads the view makes it float64
            return func(*args, **kwargs)
        if func in _PICKS:
            return self._widened(func(*args, **kwargs))
        if any(tensor.dtype in _WIDE for tensor in _written(func, args, kwargs)):
            return _run_in_place(func, args, kwargs)
        args, kwargs = self._widened((args, kwargs))
        args, kwargs = _tree_map_only(torch.dtype, lambda dtype: _WIDE.get(dtype, dtype), (args, kwargs))
        result = _grouped_product(*args, **kwargs) if func in _GROUPED_PRODUCTS else func(*args, **kwargs)
        self.flops += _flops(func, args, result)
        return self._widened(result)

    def _widened(self, values: Any) -> Any:
        return _tree_map_only(torch.Tensor, self._wide, values)

    def _wide(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dtype not in _WIDE:
            return tensor
        self.copied += tensor.numel()
        return tensor.to(_WIDE[tensor.dtype])


def _flops(func: Any, args: tuple[Any, ...], result: Any) -> int:
    """Operations of a product or convolution: two for each number of the result and each number summed in it."""
    name = func.overloadpacket.__name__
    if name in ("linear", "matmul", "mm", "bmm", "_grouped_mm"):
        return int(2 * result.numel() * args[0].shape[-1])
    if name in ("addmm", "baddbmm"):
        return int(2 * result.numel() * args[1].shape[-1])
    if name in ("conv1d", "conv2d", "conv3d", "convolution"):
        return int(2 * result.numel() * args[1][0].numel())
    if name == "scaled_dot_product_attention":
        return int(4 * args[0].numel() * args[1].shape[-2])
    return 0


def _written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[torch.Tensor]:
    """The tensors that an operator writes into."""
    values = [
        args[position] if position < len(args) else kwargs.get(argument.name)
        for position, argument in enumerate(func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    return [value for value in values if isinstance(value, torch.Tensor)]


def _run_in_place(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operator that writes into a float32 tensor: a constant that is being made, or a buffer copied into."""
    given = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]
    if func is not torch.ops.aten.copy_.default and any(value.dtype in _WIDE.values() for value in given):
        raise NotImplementedError(f"{func} writes float64 into a float32 tensor")
    return func(*args, **kwargs)


def _grouped_product(rows: torch.Tensor, matrices: torch.Tensor, ends: torch.Tensor, *_: Any, **__: Any) -> Any:
    """``torch._grouped_mm``, which torch 2.13 has in float32 and below only: each run of rows by its own matrix.

    Shapes: (rows, in), (groups, in, out), (groups,) -> (rows, out); rows past the last end are zero.
    """
    if rows.ndim != 2 or matrices.ndim != 3:  # noqa: PLR2004
        raise NotImplementedError("a grouped product of another kind than rows by matrices")
    result = rows.new_zeros((rows.shape[0], matrices.shape[2]))
    start = 0
    for group, end in enumerate(ends.tolist()):
        result[start:end] = rows[start:end] @ matrices[group]
        start = end
    return result


Module = TypeVar("Module", bound=torch.nn.Module)


def twin(module: Module) -> Module:
    """A copy that shares the weights: what a model keeps from call to call stays out of the original.

    The weights of LSTMs and GRUs are float64 copies: these layers compare types in Python.
    """
    recurrent = [layer for layer in module.modules() if isinstance(layer, torch.nn.RNNBase)]
    own = {id(parameter) for layer in recurrent for parameter in layer.parameters()}
    shared = {id(parameter): parameter for parameter in module.parameters() if id(parameter) not in own}
    copied = copy.deepcopy(module, shared)
    for layer in copied.modules():
        if isinstance(layer, torch.nn.RNNBase):
            layer.double()
    return copied


def run_in_float64(module: torch.nn.Module, tensors: Iterable[torch.Tensor]) -> tuple[Any, Float64Mode]:
    """What a :func:`twin` returns when its float32 arithmetic is done in float64; and the counters.

    Raises:
        Exception: whatever an operator raises that has no float64 form.
    """
    wide = [tensor.double() if tensor.dtype is torch.float32 else tensor for tensor in tensors]
    with torch.inference_mode(), Float64Mode() as mode:
        return module(*wide), mode
