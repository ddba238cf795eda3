"""Declared inputs held against a model: which axes vary with which size, and whether they are as declared."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from onnx_export_action.configuring.calls import Axis
from onnx_export_action.configuring.declared_generators import Generators
from onnx_export_action.onnx_config.axis_names import AXIS_ARGUMENTS
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.declared import CACHE_PREFIXES, Interface, with_interface
from onnx_export_action.onnx_config.shapes import ShapeLimit
from onnx_export_action.vocabulary.declarations import Declaration
from onnx_export_action.vocabulary.errors import ExportError, plan_error
from onnx_export_action.vocabulary.names.axes import atomic_axes

_LARGE_STEP = 4000  # samples of sound, of which a frame takes hundreds
_STEP = 32


@dataclass(frozen=True)
class HeldInputs:
    """Declared inputs over the configuration that is implied.

    ``free`` is that configuration with the declared inputs, ``base`` an array of each, and ``moved`` says of an axis
    which shape arguments it varies with.
    """

    declaration: Declaration
    implied: OnnxConfig
    free: OnnxConfig
    base: Mapping[str, Any]
    moved: Mapping[Axis, list[str]]

    def outputs_of_implied(self) -> list[str]:
        """The outputs of the model, apart from its cache."""
        return [name for name in self.free.outputs if not name.startswith(CACHE_PREFIXES)]


def held_inputs(implied: OnnxConfig, declaration: Declaration, generators: Generators) -> HeldInputs:
    """Make the declared inputs in one size after another."""
    names = {name: tensor.names() for name, tensor in declaration.inputs.items()}
    free = with_interface(implied, Interface(names, generators=generators))
    base = free.generate_dummy_inputs("np", padding="none")
    return HeldInputs(declaration, implied, free, base, _moves(free, base))


def declared_sizes(held: HeldInputs) -> dict[str, int]:
    """The declared sizes, by shape argument.

    Raises:
        ExportError: an axis does not exist, does not vary as it is called, or cannot have its declared size.
    """
    _require_axes(held)
    sizes = _sizes(held)
    _check_axes(held, sizes)
    return sizes


def _moves(free: OnnxConfig, base: Mapping[str, Any]) -> dict[Axis, list[str]]:
    """Axis of an input -> the shape arguments that it varies with."""
    moves: dict[Axis, list[str]] = {}
    for argument in asdict(free.dummy_shapes()):
        size = another_size(free, argument)
        with suppress(ExportError):  # the model does not have this argument, or does not take that size
            changed = free.generate_dummy_inputs("np", padding="none", **{argument: size})
            for name, array in changed.items():
                for axis, (before, now) in enumerate(zip(base[name].shape, array.shape, strict=True)):
                    if before != now:
                        moves.setdefault((name, axis), []).append(argument)
    return moves


def _sizes(held: HeldInputs) -> dict[str, int]:
    """The declared sizes, by shape argument."""
    sizes: dict[str, int] = {}
    for name, tensor in held.declaration.inputs.items():
        for number, size in tensor.sizes().items():
            place = tensor.axes[number].place
            arguments = held.moved.get((name, number), [])
            if not arguments and held.base[name].shape[number] != size:
                found = held.base[name].shape[number]
                raise plan_error(f"{place}: axis {number} of {name} is {found} long in this model, not {size}")
            for argument in arguments[:1]:
                if sizes.setdefault(argument, size) != size:
                    message = f"{place}: {argument} is declared as {size} here and as {sizes[argument]} before"
                    raise plan_error(message)
                limit = held.implied.shape_limits().get(argument, ShapeLimit())
                if not limit.allows(size):
                    raise plan_error(f"{place}: {argument} cannot be {size}", str(limit))
    return sizes


def _require_axes(held: HeldInputs) -> None:
    for name, tensor in held.declaration.inputs.items():
        axes = held.base[name].ndim
        for number, axis in tensor.axes.items():
            if number >= axes:
                message = f"{axis.place}: {name} has {axes} axes, counted from 0: there is no axis {number}"
                raise plan_error(message)


def _check_axes(held: HeldInputs, sizes: Mapping[str, int]) -> None:
    for name, tensor in held.declaration.inputs.items():
        for number, axis_name in tensor.names().items():
            place = tensor.axes[number].place
            moved_by = held.moved.get((name, number), [])
            for part in atomic_axes(axis_name):
                argument = next((one for one in AXIS_ARGUMENTS[part] if one in moved_by), None)
                if argument is None:
                    raise plan_error(*_wrong_axis(held, name, number, axis_name, AXIS_ARGUMENTS[part][0], place))
                _require_free(held, f"axis {number} ({axis_name}) of {name}", argument, sizes, place)
            _require_one_size(held, name, number, axis_name, place)


def _require_one_size(held: HeldInputs, name: str, number: int, axis_name: str, place: str) -> None:
    """What has one name in a file has one size in every call of it."""
    size = held.base[name].shape[number]
    for other, axes in held.free.inputs.items():
        for axis, other_name in axes.items():
            length = held.base[other].shape[axis]
            if other_name == axis_name and length != size:
                message = f"{place}: axis {number} ({axis_name}) of {name} is {size} where {other} has {length}"
                arguments = " + ".join(held.moved.get((name, number), []))
                raise plan_error(message, f"it is another length: {arguments}")


def _wrong_axis(
    held: HeldInputs, name: str, number: int, axis_name: str, argument: str, place: str
) -> tuple[str, str | None]:
    moved_by = held.moved.get((name, number), [])
    if moved_by:
        names = [known for known, possible in AXIS_ARGUMENTS.items() if set(possible) & set(moved_by)]
        return f"{place}: axis {number} of {name} is no {axis_name}", f"it varies with {', '.join(names[:3])}"
    limit = held.free.shape_limits().get(argument)
    hint = "leave the axis out, or give its size" if limit is None else str(limit)
    return f"{place}: axis {number} ({axis_name}) of {name} cannot vary", hint


def _require_free(held: HeldInputs, axis: str, argument: str, sizes: Mapping[str, int], place: str) -> None:
    """What varies together must be declared together, or the file could never be called with another size."""
    if argument in sizes:
        raise plan_error(f"{place}: {axis} cannot vary: another input declares {sizes[argument]} for it")
    for (other, number), arguments in held.moved.items():
        if argument in arguments and number not in held.free.inputs[other]:
            tensor = held.declaration.inputs.get(other)
            where = place if tensor is None else tensor.place
            message = f"{where}: axis {number} of {other} is not declared, but varies together with {axis}"
            raise plan_error(message, f"add {number}: {argument} to {other}, or give both one size")


def another_size(onnx_config: OnnxConfig, argument: str) -> int:
    """A size that the model takes, other than the usual one where there is any."""
    usual = int(getattr(onnx_config.dummy_shapes(), argument))
    limit = onnx_config.shape_limits().get(argument, ShapeLimit())
    step = _LARGE_STEP if usual > 2 * _LARGE_STEP else min(_STEP, max(1, usual // 4))
    tried = (limit.clip(usual + step), limit.clip(max(1, usual - step)), limit.minimum)
    return next((size for size in tried if size != usual), usual)
