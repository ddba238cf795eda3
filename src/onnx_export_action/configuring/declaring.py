"""Inputs, outputs and axes that a target declares, held against the model: what does not fit is said at its place.

In order: the names of the inputs, dummy inputs of the declared shapes, which axes vary with which size, runs of the
model in more than one size, and from those the axes of the outputs.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import torch

from onnx_export_action.configuring.inference import infer_onnx_config
from onnx_export_action.onnx_config.axis_names import AXIS_ARGUMENTS, atomic_axes
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.declared import (
    CACHE_PREFIXES,
    Interface,
    generator_of,
    likely_kinds,
    with_interface,
)
from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator
from onnx_export_action.onnx_config.inferred import GENERATOR_SETS, GENERATORS, Facts, InferredOnnxConfig
from onnx_export_action.onnx_config.shapes import ShapeLimit
from onnx_export_action.onnx_config.tasks import split_past
from onnx_export_action.traceable.calling import FlatModel, MissingOutputError
from onnx_export_action.traceable.parts import part_of
from onnx_export_action.vocabulary.declarations import Declaration, DeclaredTensor
from onnx_export_action.vocabulary.errors import ExportError, plan_error
from onnx_export_action.vocabulary.problems import did_you_mean, quoted
from onnx_export_action.vocabulary.results import Stage

_MOST_ATTEMPTS = 27
_LARGE_STEP = 4000  # samples of sound, of which a frame takes hundreds
_STEP = 32

Axis = tuple[str, int]
Generators = tuple[type[DummyInputGenerator], ...]


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
    for generators in _generators(implied, declaration):
        try:
            return _Declared(model, implied, declaration, generators).onnx_config()
        except _DoesNotRunError as error:
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


class _DoesNotRunError(ExportError):
    """The model does not run with these inputs; with other values it may."""


def _single_file(task: str, declaration: Declaration, registered: OnnxConfig | None) -> OnnxConfig | None:
    """The registered configuration where it is that of one file; one file of the whole model is inferred otherwise."""
    if registered is None or [part for _, part in registered.components()] == [registered]:
        return registered
    if split_past(task)[1]:
        raise plan_error(
            f"{_place(declaration)}: {task} becomes several files, which declared inputs cannot describe",
            "leave out -with-past for one file of the whole model, or write a class and name it in onnx_config",
        )
    return None


def _place(declaration: Declaration) -> str:
    return next(tensor.place for tensor in (*declaration.inputs.values(), *declaration.outputs.values()))


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
    candidates = list(_candidates(model, task, declaration))  # what is wrong with them says where
    try:
        return infer_onnx_config(model, task, candidates)
    except ExportError as error:
        raise plan_error(f"{_place(declaration)}: {error.message}", error.hint) from error


def _candidates(model: Any, task: str, declaration: Declaration) -> Iterator[Facts]:
    """The declared inputs, made in every way that is known."""
    names: dict[str, dict[int, str]] = {name: {} for name in declaration.inputs}
    for known in GENERATOR_SETS:
        facts = Facts(names, generators=known)
        for more in _generators(InferredOnnxConfig(model.config, split_past(task)[0], facts), declaration):
            yield Facts(names, generators=(*more, *known))


def _generators(onnx_config: OnnxConfig, declaration: Declaration) -> Iterator[Generators]:
    """Generators of the inputs that the configuration's own do not make, for each kind of values that they may hold."""
    unmade = [
        name for name, tensor in declaration.inputs.items() if not _is_made(onnx_config, name, tensor, declaration)
    ]
    for name in unmade:
        axes = declaration.inputs[name].axes
        if not axes or sorted(axes) != list(range(len(axes))):
            raise plan_error(
                f"{declaration.inputs[name].place}: nothing is known of {quoted(name)} but what is declared",
                "name all its axes, or give their sizes: {0: batch_size, 1: sequence_length, 2: 64}",
            )
    kinds = itertools.product(*(likely_kinds(name) for name in unmade))
    for chosen in itertools.islice(kinds, _MOST_ATTEMPTS):
        yield tuple(
            generator_of(name, {number: axis.name for number, axis in declaration.inputs[name].axes.items()}, kind)
            for name, kind in zip(unmade, chosen, strict=True)
        )


def _is_made(onnx_config: OnnxConfig, name: str, tensor: DeclaredTensor, declaration: Declaration) -> bool:
    """Whether a generator makes the input, with the axes that are declared unless these are all and more."""
    for generator_class in (*onnx_config.DUMMY_INPUT_GENERATOR_CLASSES, *GENERATORS):
        generator = generator_class(
            onnx_config.task, onnx_config._normalized_config, input_names=list(declaration.inputs)
        )
        if generator.supports_input(name):
            try:
                axes = generator.array(name).ndim
            except ExportError:  # the model's configuration does not say what it needs
                continue
            return axes >= len(tensor.axes) or sorted(tensor.axes) != list(range(len(tensor.axes)))
    return False


class _Declared:
    """One declaration over one configuration."""

    def __init__(self, model: Any, implied: OnnxConfig, declaration: Declaration, generators: Generators) -> None:
        self._model = model
        self._declaration = declaration
        self._implied = implied
        self._generators = generators
        inputs = {name: tensor.names() for name, tensor in declaration.inputs.items()}
        self._free = with_interface(implied, Interface(inputs, generators=generators))
        self._inputs = self._free.inputs
        self._base = self._free.generate_dummy_inputs("np", padding="none")
        self._moved = self._moves()

    def onnx_config(self) -> OnnxConfig:
        """The configuration, complete."""
        self._require_axes()
        sizes = self._sizes()
        self._check_axes(sizes)
        names = {name: dict[int, str]() for name in self._declaration.outputs or self._outputs_of_implied()}
        interface = Interface(self._inputs_declared(), names, sizes, self._generators)
        onnx_config = with_interface(self._implied, interface)
        outputs = self._named_outputs(onnx_config)
        return with_interface(self._implied, Interface(interface.inputs, outputs, sizes, self._generators))

    def _inputs_declared(self) -> dict[str, dict[int, str]]:
        return {name: tensor.names() for name, tensor in self._declaration.inputs.items()}

    def _outputs_of_implied(self) -> list[str]:
        return [name for name in self._free.outputs if not name.startswith(CACHE_PREFIXES)]

    def _moves(self) -> dict[Axis, list[str]]:
        """Axis of an input -> the shape arguments that it varies with."""
        moves: dict[Axis, list[str]] = {}
        for argument in asdict(self._free.dummy_shapes()):
            size = _another_size(self._free, argument)
            with suppress(ExportError):  # the model does not have this argument, or does not take that size
                changed = self._free.generate_dummy_inputs("np", padding="none", **{argument: size})
                for name, array in changed.items():
                    for axis, (before, now) in enumerate(zip(self._base[name].shape, array.shape, strict=True)):
                        if before != now:
                            moves.setdefault((name, axis), []).append(argument)
        return moves

    def _sizes(self) -> dict[str, int]:
        """The declared sizes, by shape argument."""
        sizes: dict[str, int] = {}
        for name, tensor in self._declaration.inputs.items():
            for number, size in tensor.sizes().items():
                place = tensor.axes[number].place
                arguments = self._moved.get((name, number), [])
                if not arguments and self._base[name].shape[number] != size:
                    found = self._base[name].shape[number]
                    raise plan_error(f"{place}: axis {number} of {name} is {found} long in this model, not {size}")
                for argument in arguments[:1]:
                    if sizes.setdefault(argument, size) != size:
                        message = f"{place}: {argument} is declared as {size} here and as {sizes[argument]} before"
                        raise plan_error(message)
                    limit = self._implied.shape_limits().get(argument, ShapeLimit())
                    if not limit.allows(size):
                        raise plan_error(f"{place}: {argument} cannot be {size}", str(limit))
        return sizes

    def _require_axes(self) -> None:
        for name, tensor in self._declaration.inputs.items():
            axes = self._base[name].ndim
            for number, axis in tensor.axes.items():
                if number >= axes:
                    message = f"{axis.place}: {name} has {axes} axes, counted from 0: there is no axis {number}"
                    raise plan_error(message)

    def _check_axes(self, sizes: Mapping[str, int]) -> None:
        for name, tensor in self._declaration.inputs.items():
            for number, axis_name in tensor.names().items():
                place = tensor.axes[number].place
                moved_by = self._moved.get((name, number), [])
                for part in atomic_axes(axis_name):
                    argument = next((one for one in AXIS_ARGUMENTS[part] if one in moved_by), None)
                    if argument is None:
                        raise plan_error(*self._wrong_axis(name, number, axis_name, AXIS_ARGUMENTS[part][0], place))
                    self._require_free(f"axis {number} ({axis_name}) of {name}", argument, sizes, place)
                self._require_one_size(name, number, axis_name, place)

    def _require_one_size(self, name: str, number: int, axis_name: str, place: str) -> None:
        """What has one name in a file has one size in every call of it."""
        size = self._base[name].shape[number]
        for other, axes in self._inputs.items():
            for axis, other_name in axes.items():
                length = self._base[other].shape[axis]
                if other_name == axis_name and length != size:
                    message = f"{place}: axis {number} ({axis_name}) of {name} is {size} where {other} has {length}"
                    arguments = " + ".join(self._moved.get((name, number), []))
                    raise plan_error(message, f"it is another length: {arguments}")

    def _wrong_axis(self, name: str, number: int, axis_name: str, argument: str, place: str) -> tuple[str, str | None]:
        moved_by = self._moved.get((name, number), [])
        if moved_by:
            names = [known for known, possible in AXIS_ARGUMENTS.items() if set(possible) & set(moved_by)]
            return f"{place}: axis {number} of {name} is no {axis_name}", f"it varies with {', '.join(names[:3])}"
        limit = self._free.shape_limits().get(argument)
        hint = "leave the axis out, or give its size" if limit is None else str(limit)
        return f"{place}: axis {number} ({axis_name}) of {name} cannot vary", hint

    def _require_free(self, axis: str, argument: str, sizes: Mapping[str, int], place: str) -> None:
        """What varies together must be declared together, or the file could never be called with another size."""
        if argument in sizes:
            raise plan_error(f"{place}: {axis} cannot vary: another input declares {sizes[argument]} for it")
        for (other, number), arguments in self._moved.items():
            if argument in arguments and number not in self._inputs[other]:
                tensor = self._declaration.inputs.get(other)
                where = place if tensor is None else tensor.place
                message = f"{where}: axis {number} of {other} is not declared, but varies together with {axis}"
                raise plan_error(message, f"add {number}: {argument} to {other}, or give both one size")

    def _named_outputs(self, onnx_config: OnnxConfig) -> dict[str, dict[int, str]]:
        """The axes of the outputs that move with those of inputs, under the declared names or those of the inputs."""
        base = self._run(onnx_config)
        named: dict[str, dict[int, str]] = {name: {} for name in onnx_config.outputs if name in self._wanted()}
        inputs = {axis: size for axis, size in base.items() if axis[0] in onnx_config.inputs}
        same: dict[Axis, set[Axis]] = {}
        for argument in self._arguments():
            size = _another_size(onnx_config, argument)
            shapes = self._run(onnx_config, **{argument: size})
            for axis, before in base.items():
                now = shapes.get(axis)
                if axis[0] in named and now != before:
                    alike = {other for other, length in inputs.items() if (length, shapes[other]) == (before, now)}
                    same[axis] = alike & same.get(axis, alike)
        for axis, alike in sorted(same.items()):
            named[axis[0]][axis[1]] = self._name_of(axis, alike, onnx_config)
        self._check_outputs(named, base)
        return named

    def _wanted(self) -> list[str]:
        return list(self._declaration.outputs) or self._outputs_of_implied()

    def _arguments(self) -> list[str]:
        """The shape arguments that the declared axes vary with."""
        found = (
            argument
            for (name, axis), moved_by in self._moved.items()
            for part in atomic_axes(self._inputs.get(name, {}).get(axis, ""))
            for argument in AXIS_ARGUMENTS.get(part, ())
            if argument in moved_by
        )
        return list(dict.fromkeys(found))

    def _name_of(self, axis: Axis, alike: set[Axis], onnx_config: OnnxConfig) -> str:
        output, number = axis
        declared = self._declaration.outputs.get(output)
        if declared is not None and number in declared.names():
            return declared.names()[number]
        if not isinstance(self._implied, InferredOnnxConfig):  # whose names are not those that are declared
            implied = self._free.outputs.get(output, {}).get(number)
            if implied is not None:
                return implied
        names = [onnx_config.inputs[name].get(number) for name, number in sorted(alike)]
        return next((name for name in names if name is not None), f"{output}_{number}")

    def _check_outputs(self, named: Mapping[str, Mapping[int, str]], base: Mapping[Axis, int]) -> None:
        for output, tensor in self._declaration.outputs.items():
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

    def _run(self, onnx_config: OnnxConfig, **sizes: Any) -> dict[Axis, int]:
        """Size of every axis of every input and output."""
        inputs = onnx_config.generate_dummy_inputs("pt", padding="none", **sizes)
        try:
            with torch.inference_mode():
                outputs = FlatModel(self._model, onnx_config)(*inputs.values())
        except MissingOutputError as error:
            tensor = self._declaration.outputs.get(error.output)
            raise plan_error(f"{tensor.place}: {error.message}" if tensor else error.message) from error
        except Exception as error:  # whatever the model's own code raises
            text = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            said = "".join(f" in another size ({name} {size})" for name, size in sizes.items())
            message = f"{_place(self._declaration)}: the model does not run with what is declared{said}: {text}"
            given = ", ".join(
                f"{name} {str(tensor.dtype)[6:]} {tuple(tensor.shape)}" for name, tensor in inputs.items()
            )
            raise _DoesNotRunError(message, stage=Stage.PLAN, hint=f"it was called with {given}") from error
        tensors = inputs | dict(zip(onnx_config.outputs, outputs, strict=True))
        return {(name, axis): int(size) for name, tensor in tensors.items() for axis, size in enumerate(tensor.shape)}


def _another_size(onnx_config: OnnxConfig, argument: str) -> int:
    """A size that the model takes, other than the usual one where there is any."""
    usual = int(getattr(onnx_config.dummy_shapes(), argument))
    limit = onnx_config.shape_limits().get(argument, ShapeLimit())
    step = _LARGE_STEP if usual > 2 * _LARGE_STEP else min(_STEP, max(1, usual // 4))
    tried = (limit.clip(usual + step), limit.clip(max(1, usual - step)), limit.minimum)
    return next((size for size in tried if size != usual), usual)
