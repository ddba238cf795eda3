"""Engine 1: ``torch.onnx.export(dynamo=False)``, the tracer.

Ten to thirty times faster than torch.export and right for nearly every model, but deprecated upstream: this is the
only module that knows it. When torch removes it, this file goes and ``torch_export`` remains.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import torch

from onnx_export_action.graphs.weightless import (
    WeightlessGraph,
    attach_weights,
    fold_weight_transposes,
    name_axes,
    strip_weight_prefix,
)
from onnx_export_action.traceable.calling import ModelCall
from onnx_export_action.traceable.experts import traceable_experts
from onnx_export_action.traceable.masks import traceable_masks
from onnx_export_action.traceable.rewriting import Rewriting
from onnx_export_action.traceable.scanning import recorded_scans, write_scans
from onnx_export_action.traceable.symbolics import register_missing_operators
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.results import Stage

MAX_OPSET = 20
"""The tracer's symbolic functions end here (``torch.onnx._constants.ONNX_TORCHSCRIPT_EXPORTER_MAX_OPSET``)."""


def trace(call: ModelCall, *, opset: int) -> WeightlessGraph:
    """Trace one component.

    Raises:
        ExportError: the model cannot be traced, or the tracer lost one of its inputs.
    """
    inputs = tuple(call.dummy_inputs[name] for name in call.input_names)
    with _quiet(), traceable_experts(), _recorded_shapes(call.module) as output_shapes, torch.no_grad():
        try:
            with Rewriting(), traceable_masks():
                graph = _traced_graph(call, inputs, opset)
        except ExportError:
            raise
        except Exception as error:  # the tracer raises whatever the model's own code or any symbolic function raises
            raise ExportError(f"the tracer failed: {_first_lines(error)}", stage=Stage.EXPORT) from error
    shapes = {name: tuple(tensor.shape) for name, tensor in call.dummy_inputs.items()}
    shapes |= dict(zip(call.output_names, output_shapes, strict=True))
    _require_names(graph.model, call)
    name_axes(graph.model, call.dynamic_axes, shapes)
    strip_weight_prefix(graph, "model.")
    fold_weight_transposes(graph)
    return graph


def _traced_graph(call: ModelCall, inputs: tuple[torch.Tensor, ...], opset: int) -> WeightlessGraph:
    # Without its parameters the graph is a few hundred kilobytes: torch neither copies nor folds nor compares
    # weights, which ``graph.write_graph`` later streams to disk from where they are.
    register_missing_operators()
    buffer = io.BytesIO()
    with recorded_scans(), _shapes_inferred_without_weights():
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
    # A failing trace prints its whole graph to stdout; the exception says what matters. Torch's own switch for it is
    # turned on again by every export (torch 2.13, `setup_onnx_logging` tests the function `_jit_is_onnx_log_enabled`
    # instead of calling it), so the printing itself is replaced.
    log = torch._C._jit_onnx_log
    torch._C._jit_onnx_log = _log_nothing
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch._C._jit_onnx_log = log


def _log_nothing(*_: object) -> None:
    """What a failing trace logs to."""


@contextmanager
def _shapes_inferred_without_weights() -> Iterator[None]:
    """Keep the weights out of the tracer's shape inference.

    The pass copies every parameter into a protobuf, twice: 7 of the 11 seconds that tracing gpt2 took, and twice its
    weights in memory. It reads the values of shape arguments only, which no parameter is. (torch 2.13; there is no
    public switch.)
    """
    infer = torch._C._jit_pass_onnx_graph_shape_type_inference
    torch._C._jit_pass_onnx_graph_shape_type_inference = lambda graph, _parameters, opset: infer(graph, {}, opset)
    try:
        yield
    finally:
        torch._C._jit_pass_onnx_graph_shape_type_inference = infer
