"""Inputs, outputs and axes that a target declares, held against the model: what does not fit is said at its place.

In order: the names of the inputs, dummy inputs of the declared shapes, which axes vary with which size, runs of the
model in more than one size, and from those the axes of the outputs.
"""

from __future__ import annotations

import inspect
from typing import Any

from onnx_export_action.configuring.declared_generators import Generators, declared_candidates, further_generators
from onnx_export_action.configuring.declared_inputs import declared_sizes, held_inputs
from onnx_export_action.configuring.declared_outputs import DoesNotRunError, named_outputs
from onnx_export_action.configuring.inference import infer_onnx_config
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.declared import CACHE_PREFIXES, Interface, with_interface
from onnx_export_action.onnx_config.tasks import split_past
from onnx_export_action.traceable.parts import part_of
from onnx_export_action.vocabulary.declarations import Declaration
from onnx_export_action.vocabulary.errors import ExportError, plan_error
from onnx_export_action.vocabulary.problems import did_you_mean, quoted


def declared_onnx_config(model: Any, task: str, declaration: Declaration, registered: OnnxConfig | None) -> OnnxConfig:
    """The configuration of one file with what is declared, over the registered one or what runs of the model show.

    Raises:
        ExportError: the model takes no such input or gives no such output, does not run, or an axis is not as declared.
    """
    implied = _single_file(task, declaration, registered)
    _require_known_inputs(model, declaration, implied)
    if implied is None:
        implied = _inferred(model, task, declaration)
    reasons: list[ExportError] = []
    for generators in further_generators(implied, declaration):
        try:
            return _declared(model, implied, declaration, generators)
        except DoesNotRunError as error:
            reasons.append(error)
    raise reasons[0]


def declared_notes(declaration: Declaration, onnx_config: OnnxConfig) -> list[str]:
    """What the report says: what was declared, and which axes have one size because of it."""
    said = [
        f"{what} {', '.join(tensors)}"
        for what, tensors in (("inputs", declaration.inputs), ("outputs", declaration.outputs))
        if tensors
    ]
    notes = [f"the configuration was declared in the settings: {'; '.join(said)}"]
    arrays = onnx_config.generate_dummy_inputs("np")
    fixed = [
        f"axis {axis} of {name} at {size}"
        for name in declaration.inputs
        for axis, size in enumerate(arrays[name].shape)
        if axis not in onnx_config.inputs[name]
    ]
    return [*notes, f"axes that are not declared to vary are fixed: {', '.join(fixed)}"] if fixed else notes


def _declared(model: Any, implied: OnnxConfig, declaration: Declaration, generators: Generators) -> OnnxConfig:
    held = held_inputs(implied, declaration, generators)
    sizes = declared_sizes(held)
    inputs = {name: tensor.names() for name, tensor in declaration.inputs.items()}
    outputs: dict[str, dict[int, str]] = {name: {} for name in declaration.outputs or held.outputs_of_implied()}
    unnamed = with_interface(implied, Interface(inputs, outputs, sizes, generators))
    return with_interface(implied, Interface(inputs, named_outputs(model, held, unnamed), sizes, generators))


def _single_file(task: str, declaration: Declaration, registered: OnnxConfig | None) -> OnnxConfig | None:
    """The registered configuration where it is that of one file; one file of the whole model is inferred otherwise."""
    if registered is None or [part for _, part in registered.components()] == [registered]:
        return registered
    if split_past(task)[1]:
        raise plan_error(
            f"{declaration.place}: {task} becomes several files, which declared inputs cannot describe",
            "leave out -with-past for one file of the whole model, or write a class and name it in onnx_config",
        )
    return None


def _require_known_inputs(model: Any, declaration: Declaration, implied: OnnxConfig | None) -> None:
    part = None if implied is None else part_of(implied)
    function = part or model.forward
    takes = [name for name, one in inspect.signature(function).parameters.items() if one.kind is not one.VAR_KEYWORD]
    known = {*takes, *(implied.inputs if implied is not None else ())}
    for name, tensor in declaration.inputs.items():
        if name not in known and not name.startswith(CACHE_PREFIXES):
            hint = did_you_mean(name, known) or f"it takes: {', '.join(takes)}"
            raise plan_error(f"{tensor.place}: {type(model).__name__} takes no input {quoted(name)}", hint)


def _inferred(model: Any, task: str, declaration: Declaration) -> OnnxConfig:
    if not declaration.inputs:
        return infer_onnx_config(model, task)
    candidates = list(declared_candidates(model, task, declaration))
    try:
        return infer_onnx_config(model, task, candidates)
    except ExportError as error:
        raise plan_error(f"{declaration.place}: {error.message}", error.hint) from error
