"""Which layer of a model differs first: what every module of the PyTorch model gives, against the ONNX graph's values.

The two are matched by value: for each module's output the nearest of the graph's intermediate tensors with as many
elements. So it works for any engine and for graphs whose names are lost. ONNX Runtime runs the graph unoptimised here,
as optimised ones have no such tensors any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from onnx_export_action.proving.arrays import Arrays
from onnx_export_action.traceable.calling import FlatModel
from onnx_export_action.vocabulary.results import LayerResult

_LEAST_ELEMENTS = 8
_MOST_LAYER_BYTES = 512 * 2**20
_FETCHED_AT_ONCE = 256
_COMPARED_ELEMENTS = 4096

# An error is a jump when it is so many times what was there before; below the first number all is rounding.
_ROUNDING = 3e-7
_JUMP = 8.0
_LEAST_ERROR = 2e-6
_WHOLE = 1.0  # an error as large as the values themselves; more says no more

_RULED_OUT = 1e30


def layer_errors(module: FlatModel, graph: onnx.ModelProto, inputs: Arrays, feeds: Arrays) -> list[LayerResult]:
    """Every module that leads to the outputs, in the order in which they end, with the error of the nearest tensor.

    ``graph`` has its weights inside and no branches around its layers; ``feeds`` are its inputs, ``inputs`` those of
    the model.
    """
    layers = _module_outputs(module, inputs)
    nearest: dict[int, float] = {}
    for found in _intermediate_values(graph, feeds):
        for number, error in _errors(layers, found):
            nearest[number] = min(error, nearest.get(number, np.inf))
    named = ((layers[number][0], error) for number, error in sorted(nearest.items()))
    return [LayerResult(name=name or "(model)", error=error) for name, error in named]


def output_errors(expected: Arrays, found: Arrays) -> list[LayerResult]:
    """The outputs themselves, which come after every layer."""
    return [
        LayerResult(name=f"output {name}", error=_relative_error(found[name].reshape(-1), array.reshape(-1)))
        for name, array in expected.items()
        if array.dtype.kind == "f" and array.size
    ]


def first_divergent(layers: Sequence[LayerResult], *, quantised: bool = False) -> str | None:
    """The layer where the error jumps and stays; of a quantised file, which errs everywhere, where it grows most.

    A module without a counterpart in the graph has a large error of its own, and the layers after it have none: that
    is no jump.
    """
    errors = np.array([np.inf if layer.error is None else layer.error for layer in layers])
    before = _ROUNDING
    jumps: list[tuple[float, int]] = []
    for number, error in enumerate(errors):
        if float(np.median(errors[number:])) * _JUMP < error:
            continue
        if error > max(_JUMP * before, _LEAST_ERROR) or quantised:
            jumps.append((min(error, _WHOLE) - min(before, _WHOLE), -number))
        before = max(before, float(error))
    return layers[-(max(jumps) if quantised else jumps[0])[1]].name if jumps else None


def divergent_output(outputs: Sequence[LayerResult]) -> str | None:
    """The output that errs most, where every layer is right."""
    worst = max(outputs, key=lambda output: output.error or 0.0, default=None)
    return worst.name if worst is not None and (worst.error or 0.0) > _LEAST_ERROR else None


def _module_outputs(module: FlatModel, inputs: Arrays) -> list[tuple[str, np.ndarray[Any, Any]]]:
    """Name and values of every module that the outputs depend on, as autograd's graph tells."""
    layers: list[tuple[str, torch.Tensor, object]] = []
    held = 0

    def note(name: str) -> Callable[..., None]:
        def hook(_: torch.nn.Module, __: object, output: object) -> None:
            nonlocal held
            tensor = _first_tensor(output)
            if tensor is None or not _tells_something(tensor) or held + tensor.nbytes > _MOST_LAYER_BYTES:
                return
            held += tensor.nbytes
            layers.append((name, tensor.detach().clone(), tensor.grad_fn))

        return hook

    module.requires_grad_(True)
    with ExitStack() as hooks, torch.enable_grad():
        for name, child in module.model.named_modules():
            hooks.callback(child.register_forward_hook(note(name)).remove)
        outputs = module(*(torch.from_numpy(array) for array in inputs.values()))
    used = _ancestors(output.grad_fn for output in outputs)
    return [(name, tensor.float().numpy()) for name, tensor, made_by in layers if made_by is None or made_by in used]


def _ancestors(functions: Iterable[Any]) -> set[Any]:
    waiting = [function for function in functions if function is not None]
    seen = set(waiting)
    while waiting:
        for function, _ in waiting.pop().next_functions:
            if function is not None and function not in seen:
                seen.add(function)
                waiting.append(function)
    return seen


def _first_tensor(output: object) -> torch.Tensor | None:
    if isinstance(output, torch.Tensor):
        return output
    values = output.values() if isinstance(output, Mapping) else output if isinstance(output, (tuple, list)) else ()
    return next((value for value in values if isinstance(value, torch.Tensor)), None)


def _tells_something(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() and tensor.numel() >= _LEAST_ELEMENTS and bool(tensor.float().std() > 0)


def _intermediate_values(graph: onnx.ModelProto, feeds: Arrays) -> Iterator[list[np.ndarray[Any, Any]]]:
    """The floating-point tensors of the graph, some at a time."""
    names = [name for node in _live_nodes(graph.graph) if node.op_type != "Constant" for name in node.output if name]
    asked = onnx.ModelProto()
    asked.CopyFrom(graph)
    del asked.graph.output[:]
    asked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(asked.SerializeToString(), options, providers=["CPUExecutionProvider"])
    taken = {value.name for value in session.get_inputs()}
    fed = {name: array for name, array in feeds.items() if name in taken}
    kinds = {value.name: value.type for value in session.get_outputs()}
    wanted = iter(name for name in names if kinds[name] in ("tensor(float)", "tensor(float16)", "tensor(double)"))
    while some := list(islice(wanted, _FETCHED_AT_ONCE)):
        yield [array.astype(np.float32) for array in session.run(some, fed)]


def _live_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Nodes that the outputs depend on: what is left over from before a change tells nothing."""
    needed = {value.name for value in graph.output}
    live = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            live.append(node)
            needed.update(node.input)
    return live[::-1]


def _errors(
    layers: Sequence[tuple[str, np.ndarray[Any, Any]]], found: Sequence[np.ndarray[Any, Any]]
) -> Iterator[tuple[int, float]]:
    """For each layer the least error over the arrays of its size; one of another shape counts in its own order."""
    by_size: dict[int, list[np.ndarray[Any, Any]]] = {}
    for array in (array for array in found if array.size >= _LEAST_ELEMENTS):
        by_size.setdefault(array.size, []).append(array.reshape(-1))
    sampled = {size: np.stack([_sample(array) for array in arrays]) for size, arrays in by_size.items()}
    for number, (_, values) in enumerate(layers):
        if values.size not in by_size:
            continue
        differences = sampled[values.size] - _sample(values.reshape(-1))
        nearest = int(np.argmin(np.nan_to_num(np.square(differences).sum(axis=1), nan=np.inf)))
        yield number, _relative_error(by_size[values.size][nearest], values.reshape(-1))


def _sample(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    step = -(-array.size // _COMPARED_ELEMENTS)
    return np.asarray(array[::step], np.float64)


def _relative_error(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> float:
    usual = np.isfinite(expected) & (np.abs(expected) < _RULED_OUT)  # the lowest number there is means minus infinity
    if found.shape != expected.shape:
        return float("inf")
    difference = found[usual].astype(np.float64) - expected[usual]
    scale = float(np.sqrt(np.mean(np.square(expected[usual], dtype=np.float64)))) if usual.any() else 0.0
    if scale == 0.0 or not np.isfinite(difference).all():
        return float("inf")
    return float(np.sqrt(np.mean(np.square(difference)))) / scale
