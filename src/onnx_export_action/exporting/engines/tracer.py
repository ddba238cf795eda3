"""Engine 1: ``torch.onnx.export(dynamo=False)``, the tracer.

Ten to thirty times faster than torch.export and right for nearly every model, but deprecated upstream: this is the
only module that knows it. When torch removes it, this file goes and ``torch_export`` remains.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx
import torch

from onnx_export_action.exporting.engines.graph import GraphRecording, finished
from onnx_export_action.graphs.passes.axes_named import name_axes
from onnx_export_action.graphs.passes.weights_attached import attach_weights
from onnx_export_action.graphs.weightless import WeightlessGraph
from onnx_export_action.traceable import traced_as
from onnx_export_action.traceable.calling import ModelCall
from onnx_export_action.traceable.private_names import Patch, patched
from onnx_export_action.traceable.scanning import write_scans
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.results import Stage
from onnx_export_action.vocabulary.supported.engines import TRACER_MAX_OPSET, Engine


def record(call: ModelCall, opset: int) -> GraphRecording:
    """Trace one component.

    Raises:
        ExportError: the tracer does not write this opset, cannot trace the model, or lost one of its inputs.
    """
    _require_opset(opset)
    inputs = tuple(call.dummy_inputs[name] for name in call.input_names)
    with _quiet(), _recorded_shapes(call.module) as output_shapes, torch.no_grad():
        try:
            with traced_as(Engine.TRACER, call.module, call.patches), patched(PATCHES):
                graph = _traced_graph(call, inputs, opset)
        except ExportError:
            raise
        except Exception as error:  # the tracer raises whatever the model's own code or any symbolic function raises
            raise ExportError(f"the tracer failed: {_first_lines(error)}", stage=Stage.EXPORT) from error
    shapes = {name: tuple(tensor.shape) for name, tensor in call.dummy_inputs.items()}
    shapes |= dict(zip(call.output_names, output_shapes, strict=True))
    _require_names(graph.model, call)
    name_axes(graph.model, call.dynamic_axes, shapes)
    return finished(graph, call, Engine.TRACER, prefix="model.")


def _require_opset(opset: int) -> None:
    if opset > TRACER_MAX_OPSET:
        raise ExportError(
            f"the tracer writes opset {TRACER_MAX_OPSET} at most, {opset} was asked for",
            stage=Stage.EXPORT,
            hint="use `engine: torch-export` or a lower opset",
        )


def _traced_graph(call: ModelCall, inputs: tuple[torch.Tensor, ...], opset: int) -> WeightlessGraph:
    # Without its parameters the graph is a few hundred kilobytes: torch neither copies nor folds nor compares
    # weights, which ``graphs.writing`` later streams to disk from where they are.
    buffer = io.BytesIO()
    torch.onnx.export(
        call.module,
        inputs,
        buffer,
        dynamo=False,
        export_params=False,
        keep_initializers_as_inputs=True,
        do_constant_folding=False,
        opset_version=opset,
        input_names=call.input_names,
        output_names=call.output_names,
        dynamic_axes=call.dynamic_axes,
    )
    model = onnx.load_model_from_string(buffer.getvalue())
    write_scans(model, opset)
    return attach_weights(model, call.module, call.input_names)


def _require_names(model: onnx.ModelProto, call: ModelCall) -> None:
    found = {value.name for value in model.graph.input} | {value.name for value in model.graph.output}
    lost = [name for name in (*call.input_names, *call.output_names) if name not in found]
    if lost:
        raise ExportError(f"the traced graph lost {', '.join(lost)}", stage=Stage.EXPORT)


def _first_lines(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:2])[:400]}"


@contextmanager
def _recorded_shapes(module: torch.nn.Module) -> Iterator[list[tuple[int, ...]]]:
    """Shapes of the module's outputs in the traced call, which saves a call of its own."""
    shapes: list[tuple[int, ...]] = []

    def record(_: torch.nn.Module, __: object, outputs: tuple[torch.Tensor, ...]) -> None:
        shapes[:] = [tuple(int(size) for size in tensor.shape) for tensor in outputs]

    hook = module.register_forward_hook(record)
    try:
        yield shapes
    finally:
        hook.remove()


@contextmanager
def _quiet() -> Iterator[None]:
    # Every shape a model reads in Python gives a TracerWarning; whether it matters is what validation finds out.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _log_nothing(*_: object) -> None:
    """What a failing trace logs to."""


def _inferred_without_weights(infer: Any, graph: Any, _parameters: Any, opset: int) -> Any:
    """The pass without the weights."""
    return infer(graph, {}, opset)


PATCHES = (
    # A failing trace prints its whole graph to stdout; the exception says what matters. Torch's own switch for it is
    # turned on again by every export (torch 2.13, `setup_onnx_logging` tests the function `_jit_is_onnx_log_enabled`
    # instead of calling it), so the printing itself is replaced.
    Patch("torch._C._jit_onnx_log", replacement=_log_nothing),
    # Shape inference copies every parameter into a protobuf, twice: 7 of the 11 seconds that tracing gpt2 took, and
    # twice its weights in memory. It reads the values of shape arguments only, which no parameter is. (torch 2.13;
    # there is no public switch.)
    Patch("torch._C._jit_pass_onnx_graph_shape_type_inference", replacement=_inferred_without_weights, around=True),
)
