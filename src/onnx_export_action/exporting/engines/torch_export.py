"""Engine 2: ``torch.export`` through ``transformers.exporters``.

Slower than the tracer, but it exports what the tracer cannot: experts chosen by data, ``torch.diff``,
``torch.histc``, masks built with ``vmap``. ``transformers.exporters`` patches several dozen operators and models
around ``torch.export`` and ``torch.onnx``; without these patches fewer models export, and rows that are masked
everywhere (left padding) come out wrong. It is public but experimental: this is the only module that knows it.

In order: export a wrapper around the call's module, check the axes, name everything as the call says, and hand over
the graph with the module's own tensors as its weights.
"""

from __future__ import annotations

import ast
import io
import logging
import re
import threading
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from itertools import pairwise
from pathlib import Path
from typing import Any

import onnx
import onnx_ir
import torch

from onnx_export_action.exporting.engines.graph import GraphRecording, finished
from onnx_export_action.graphs.nodes import graph_nodes
from onnx_export_action.graphs.weightless import Weight, WeightlessGraph
from onnx_export_action.graphs.writing import INLINE_LIMIT_BYTES
from onnx_export_action.traceable import traced_as
from onnx_export_action.traceable.calling import ModelCall
from onnx_export_action.traceable.private_names import by_version
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.results import Stage
from onnx_export_action.vocabulary.supported.engines import TORCH_EXPORT_MIN_OPSET, Engine

_NOISY_LOGGERS = ("onnx_ir", "onnxscript", "torch.export", "torch.fx", "torch.onnx", "transformers.exporters")
_NAME_SCOPES = "pkg.torch.onnx.name_scopes"
_SYMBOL = re.compile(r"\b[a-z]+\d+\b")
_MESSAGE_LIMIT = 400

# The attribute of what ``OnnxExporter.export`` returns that is the graph: an ``ONNXProgram`` of torch, and later an
# ``ExportedModel`` of transformers.
_GRAPH = {"<5.23": "model", ">=5.23": "program"}


def record(call: ModelCall, opset: int) -> GraphRecording:
    """Export one component: its graph, and the module's own tensors, each once, as its weights.

    Raises:
        ExportError: the opset is not one that torch.onnx writes, the model cannot be exported, or an axis that the
            call declares dynamic came out fixed.
    """
    _require_opset(opset)
    model = _exported_model(call, opset)
    _require_written_opset(model, opset)
    _name_axes(model.graph, call)
    _name_inputs_and_outputs(model.graph, call)
    _tie(model.graph, call.module)
    graph = _weightless(model, call.module)
    _name_nodes(graph.model.graph)
    _strip_traces(graph.model)
    return finished(graph, call, Engine.TORCH_EXPORT, prefix=f"{_Wrapper.PREFIX}model.")


class _Wrapper(torch.nn.Module):
    """The call's module as ``transformers.exporters`` wants it: named arguments in, a dictionary of tensors out."""

    PREFIX = "module."

    def __init__(self, call: ModelCall) -> None:
        super().__init__()
        self.module = call.module
        # Neutral names: an argument must be an identifier, and an output is renamed later whatever it is called.
        self.arguments = {f"input_{index}": name for index, name in enumerate(call.input_names)}
        self.results = [f"output_{index}" for index in range(len(call.output_names))]

    def forward(self, **tensors: torch.Tensor) -> dict[str, torch.Tensor]:
        outputs = self.module(*(tensors[argument] for argument in self.arguments))
        return dict(zip(self.results, outputs, strict=True))


def _exported_model(call: ModelCall, opset: int) -> onnx_ir.Model:
    wrapper = _Wrapper(call)
    inputs = {argument: call.dummy_inputs[name] for argument, name in wrapper.arguments.items()}
    # AUTO and not a named Dim: torch.export then finds out by itself which axes depend on each other (a mask is as
    # long as past and new tokens together) where a named Dim demands that they are independent.
    dynamic_shapes = {
        argument: dict.fromkeys(call.dynamic_axes.get(name, {}), torch.export.Dim.AUTO)
        for argument, name in wrapper.arguments.items()
    }
    with _quiet(), _evaluating(wrapper), traced_as(Engine.TORCH_EXPORT, wrapper, call.patches):
        exporter, config_class = _exporter()
        try:
            config = config_class(dynamic_shapes=dynamic_shapes, opset_version=opset, optimize=False)
            model = getattr(exporter.export(wrapper, inputs, config), by_version("transformers", _GRAPH))
            _optimize(model)
        except ExportError:
            raise
        except Exception as error:  # torch.export raises whatever the model's own code or any of its passes raises
            raise ExportError(f"torch.export failed: {_explained(error)}", stage=Stage.EXPORT) from error
    return model


def _exporter() -> tuple[Any, type]:
    try:
        from transformers.exporters import OnnxConfig, OnnxExporter

        return OnnxExporter(), OnnxConfig
    except ImportError as error:  # too old a transformers, or a torch or onnxscript too old for it
        raise ExportError(
            f"torch.export cannot be used here: {_one_line(error)}",
            stage=Stage.EXPORT,
            hint="upgrade transformers, torch and onnxscript, or use `engine: tracer`",
        ) from error


def _optimize(model: onnx_ir.Model) -> None:
    """Fold constants and remove what nothing reads, but leave every weight as the module holds it.

    torch.onnx's own run of the same optimizer would fold the transpose of a small tied weight into a second copy.
    """
    from onnxscript import optimizer

    optimizer.optimize_ir(model, should_fold=_may_fold)


def _may_fold(node: onnx_ir.Node) -> bool | None:
    # Folding a Resize runs onnx's reference implementation in pure Python, for minutes (transformers.exporters
    # skips it for the same reason).
    reads_weight = any(
        isinstance(_torch_tensor(value), torch.nn.Parameter) for value in node.inputs if value is not None
    )
    return False if reads_weight or node.op_type == "Resize" else None


def _require_opset(opset: int) -> None:
    if opset < TORCH_EXPORT_MIN_OPSET:
        raise ExportError(
            f"torch.export writes opset {TORCH_EXPORT_MIN_OPSET} or newer, {opset} was asked for",
            stage=Stage.EXPORT,
            hint=f"use opset {TORCH_EXPORT_MIN_OPSET}, or `engine: tracer` if the tracer can export this model",
        )


def _require_written_opset(model: onnx_ir.Model, opset: int) -> None:
    written = model.opset_imports.get("")
    if written != opset:
        raise ExportError(
            f"torch.export cannot write opset {opset}: the graph stayed at opset {written}",
            stage=Stage.EXPORT,
            hint=f"use opset {TORCH_EXPORT_MIN_OPSET}",
        )


def _name_axes(graph: onnx_ir.Graph, call: ModelCall) -> None:
    """Give dynamic axes their declared names in place of torch's symbols (``s18``); fixed axes keep their size.

    An output's axis that varies although nothing declares it keeps its expression, in declared names.
    """
    values = [*zip(call.input_names, graph.inputs, strict=True), *zip(call.output_names, graph.outputs, strict=True)]
    _require_dynamic(values, call)
    names: dict[int | str, str] = {}
    for name, value in values:
        for axis, axis_name in call.dynamic_axes.get(name, {}).items():
            names.setdefault(_sizes(value)[axis], axis_name)
    for name, value in values:
        declared = call.dynamic_axes.get(name, {})
        sizes = enumerate(_sizes(value))
        value.shape = onnx_ir.Shape([declared.get(axis) or _in_declared_names(size, names) for axis, size in sizes])


def _require_dynamic(values: list[tuple[str, onnx_ir.Value]], call: ModelCall) -> None:
    faults: list[str] = []
    for name, value in values:
        sizes = dict(enumerate(_sizes(value)))
        for axis, axis_name in call.dynamic_axes.get(name, {}).items():
            if axis not in sizes:
                faults.append(f"{name}[{axis}] ({axis_name}) does not exist")
            elif isinstance(sizes[axis], int):
                faults.append(f"{name}[{axis}] ({axis_name}) is always {sizes[axis]}")
    if faults:
        raise ExportError(
            f"axes that are declared dynamic are not: {', '.join(faults)}",
            stage=Stage.EXPORT,
            hint="the model computes with the size of the traced inputs; `inputs:` can declare the axis as fixed",
        )


def _sizes(value: onnx_ir.Value) -> list[int | str]:
    """Sizes of fixed axes, and torch's expressions of the others (``s18``, ``s18 + s41``)."""
    texts = [str(size) for size in value.shape or ()]
    # An axis that torch.export was asked to keep dynamic but found constant is an expression too: ``5``.
    return [int(text) if text.isdecimal() else text for text in texts]


def _in_declared_names(size: int | str, names: dict[int | str, str]) -> int | str:
    return size if isinstance(size, int) else _SYMBOL.sub(lambda symbol: names.get(symbol[0], symbol[0]), size)


def _name_inputs_and_outputs(graph: onnx_ir.Graph, call: ModelCall) -> None:
    own = [*graph.inputs, *graph.outputs]
    names = [*call.input_names, *call.output_names]
    for value in _all_values(graph):
        if value.name in names:
            value.name = f"{value.name}/inner"
    for value, name in zip(own, names, strict=True):
        value.name = name


def _all_values(graph: onnx_ir.Graph) -> Iterator[onnx_ir.Value]:
    yield from graph.inputs
    yield from graph.initializers.values()
    for node in graph.all_nodes():
        yield from node.outputs


def _tie(graph: onnx_ir.Graph, module: torch.nn.Module) -> None:
    """Leave one initializer for parameters that share memory, under the first of their names in the module."""
    first_names: dict[tuple[object, ...], str] = {}
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        first_names.setdefault(_memory(tensor), f"{_Wrapper.PREFIX}{name}")
    for name, value in tuple(graph.initializers.items()):
        tensor = _torch_tensor(value)
        first_name = name if tensor is None else first_names.get(_memory(tensor), name)
        if first_name == name:
            continue
        if first_name in graph.initializers:
            value.replace_all_uses_with(graph.initializers[first_name])
            del graph.initializers[name]
        else:
            value.name = first_name


def _torch_tensor(value: onnx_ir.Value) -> torch.Tensor | None:
    """The module's own tensor behind an initializer; none for a constant of the graph."""
    raw = getattr(value.const_value, "raw", None)
    return raw if isinstance(raw, torch.Tensor) else None


def _memory(tensor: torch.Tensor) -> tuple[object, ...]:
    return tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()


def _weightless(model: onnx_ir.Model, module: torch.nn.Module) -> WeightlessGraph:
    """Take the module's tensors, and what large constants there are, out of the graph."""
    names = {f"{_Wrapper.PREFIX}{name}" for name, _ in (*module.named_parameters(), *module.named_buffers())}
    weights: dict[str, Weight] = {}
    for name, value in tuple(model.graph.initializers.items()):
        tensor = _torch_tensor(value)
        if tensor is None or name not in names:
            tensor = _large_constant(value)
        if tensor is not None:
            weights[name] = Weight(tensor)
            del model.graph.initializers[name]
    return WeightlessGraph(onnx_ir.to_proto(model), weights)


def _large_constant(value: onnx_ir.Value) -> torch.Tensor | None:
    constant = value.const_value
    if constant is None or constant.nbytes <= INLINE_LIMIT_BYTES:
        return None
    array = constant.numpy()
    # Types that numpy does not have itself (bfloat16) cannot go through it to torch; they stay in the graph.
    return torch.tensor(array) if array.dtype.kind in "biuf" else None


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Name nodes after the module they come from, as the tracer does: ``/model/encoder/layer.0/MatMul_1``."""
    seen: Counter[str] = Counter()
    for node in graph_nodes(graph):
        scopes = next((entry.value for entry in node.metadata_props if entry.key == _NAME_SCOPES), None)
        if scopes is None:
            continue
        name = "/".join(("", *_module_path(ast.literal_eval(scopes)), node.op_type))
        node.name = f"{name}_{seen[name]}" if seen[name] else name
        seen[name] += 1


def _module_path(scopes: list[str]) -> list[str]:
    """Module names from the outermost in: ``["", "module", "module.h.0", "view"]`` gives ``["h.0"]``.

    The scopes are full names, the last is the operator's; the first two are the root and the wrapped module.
    """
    return [inner.removeprefix(f"{outer}.") for outer, inner in pairwise(scopes[1:-1])]


def _strip_traces(model: onnx.ModelProto) -> None:
    """Remove what torch.onnx notes down: paths of this machine, whole stack traces, shapes of the traced batch."""
    del model.graph.value_info[:]
    holders = [model, model.graph, *model.graph.input, *model.graph.output, *graph_nodes(model.graph)]
    for function in model.functions:
        holders += [function, *function.node]
    for holder in holders:
        holder.ClearField("metadata_props")
        holder.ClearField("doc_string")


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode, in which there is no dropout; afterwards every part is in the mode it was in."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop what the exporters print: progress on stdout, where only answers belong, and warnings of their own insides.

    When torch.export fails it prints the whole graph to stderr; the error says in one line what the reader needs.
    """
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(redirect_stderr(io.StringIO()))
        # torch.fx makes a progress bar even where it shows none, and tqdm for it a lock between processes: a worker
        # that leaves at once makes Python warn of a leaked semaphore. A lock between threads is enough here.
        torch.hub.tqdm.set_lock(threading.RLock())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        for name in _NOISY_LOGGERS:
            logger = logging.getLogger(name)
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.ERROR)
        yield


def _explained(error: BaseException) -> str:
    """The first cause in one line, and the line of the model's code where it happened."""
    while error.__cause__ is not None:
        error = error.__cause__
    place = _place(error)
    return f"{_one_line(error)} (at {place})" if place else _one_line(error)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).strip().partition("\n\n")[0].split())
    return f"{type(error).__name__}: {text[:_MESSAGE_LIMIT]}".removesuffix(": ")


def _place(error: BaseException) -> str | None:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.name.startswith("modeling_"):
            return f"{path.name}:{frame.lineno}, {frame.name}"
    return None
