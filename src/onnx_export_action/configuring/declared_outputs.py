"""Declared outputs held against runs of the model: their axes move with those of inputs, or have one size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from onnx_export_action.configuring.calls import Axis
from onnx_export_action.configuring.declared_inputs import HeldInputs, another_size
from onnx_export_action.onnx_config.axis_names import AXIS_ARGUMENTS
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.inferred import InferredOnnxConfig
from onnx_export_action.traceable.calling import FlatModel, MissingOutputError
from onnx_export_action.vocabulary.errors import ExportError, plan_error
from onnx_export_action.vocabulary.names.axes import atomic_axes
from onnx_export_action.vocabulary.results import Stage


class DoesNotRunError(ExportError):
    """The model does not run with these inputs; with other values it may."""


def named_outputs(model: Any, held: HeldInputs, onnx_config: OnnxConfig) -> dict[str, dict[int, str]]:
    """The axes of the outputs that move with those of inputs, under the declared names or those of the inputs.

    Raises:
        ExportError: the model does not run, gives no such output, or an axis is not as declared.
    """
    base = _sizes_in_a_run(model, held, onnx_config)
    named: dict[str, dict[int, str]] = {name: {} for name in onnx_config.outputs if name in _wanted(held)}
    inputs = {axis: size for axis, size in base.items() if axis[0] in onnx_config.inputs}
    same: dict[Axis, set[Axis]] = {}
    for argument in _arguments(held):
        size = another_size(onnx_config, argument)
        shapes = _sizes_in_a_run(model, held, onnx_config, **{argument: size})
        for axis, before in base.items():
            now = shapes.get(axis)
            if axis[0] in named and now != before:
                alike = {other for other, length in inputs.items() if (length, shapes[other]) == (before, now)}
                same[axis] = alike & same.get(axis, alike)
    for axis, alike in sorted(same.items()):
        named[axis[0]][axis[1]] = _name_of(held, axis, alike, onnx_config)
    _check_outputs(held, named, base)
    return named


def _wanted(held: HeldInputs) -> list[str]:
    return list(held.declaration.outputs) or held.outputs_of_implied()


def _arguments(held: HeldInputs) -> list[str]:
    """The shape arguments that the declared axes vary with."""
    found = (
        argument
        for (name, axis), moved_by in held.moved.items()
        for part in atomic_axes(held.free.inputs.get(name, {}).get(axis, ""))
        for argument in AXIS_ARGUMENTS.get(part, ())
        if argument in moved_by
    )
    return list(dict.fromkeys(found))


def _name_of(held: HeldInputs, axis: Axis, alike: set[Axis], onnx_config: OnnxConfig) -> str:
    output, number = axis
    declared = held.declaration.outputs.get(output)
    if declared is not None and number in declared.names():
        return declared.names()[number]
    if not isinstance(held.implied, InferredOnnxConfig):  # whose names are not those that are declared
        implied = held.free.outputs.get(output, {}).get(number)
        if implied is not None:
            return implied
    names = [onnx_config.inputs[name].get(number) for name, number in sorted(alike)]
    return next((name for name in names if name is not None), f"{output}_{number}")


def _check_outputs(held: HeldInputs, named: Mapping[str, Mapping[int, str]], base: Mapping[Axis, int]) -> None:
    for output, tensor in held.declaration.outputs.items():
        for number, axis in tensor.axes.items():
            if (output, number) not in base:
                raise plan_error(f"{axis.place}: there is no axis {number} of the output {output}")
            varies = number in named[output]
            if isinstance(axis.name, str) and not varies:
                size = base[output, number]
                raise plan_error(
                    f"{axis.place}: axis {number} ({axis.name}) of the output {output} does not vary: it is {size}"
                )
            if isinstance(axis.name, int) and (varies or base[output, number] != axis.name):
                found = named[output][number] if varies else base[output, number]
                raise plan_error(f"{axis.place}: axis {number} of the output {output} is {found}, not {axis.name}")


def _sizes_in_a_run(model: Any, held: HeldInputs, onnx_config: OnnxConfig, **sizes: Any) -> dict[Axis, int]:
    """Size of every axis of every input and output."""
    inputs = onnx_config.generate_dummy_inputs("pt", padding="none", **sizes)
    try:
        with torch.inference_mode():
            outputs = FlatModel(model, onnx_config)(*inputs.values())
    except MissingOutputError as error:
        tensor = held.declaration.outputs.get(error.output)
        raise plan_error(f"{tensor.place}: {error.message}" if tensor else error.message) from error
    except Exception as error:  # whatever the model's own code raises
        text = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        said = "".join(f" in another size ({name} {size})" for name, size in sizes.items())
        message = f"{held.declaration.place}: the model does not run with what is declared{said}: {text}"
        given = ", ".join(f"{name} {str(tensor.dtype)[6:]} {tuple(tensor.shape)}" for name, tensor in inputs.items())
        raise DoesNotRunError(message, stage=Stage.PLAN, hint=f"it was called with {given}") from error
    tensors = inputs | dict(zip(onnx_config.outputs, outputs, strict=True))
    return {(name, axis): int(size) for name, tensor in tensors.items() for axis, size in enumerate(tensor.shape)}
