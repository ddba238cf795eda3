"""A configuration with the inputs and outputs that a user declared, over what the model type and the task imply.

``export.declaring`` holds a declaration against the model itself; here is what a configuration becomes by it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from onnx_export_action.onnx_config.axis_names import AXIS_ARGUMENTS
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator
from onnx_export_action.onnx_config.inferred import GENERATORS
from onnx_export_action.onnx_config.outputs import Axes
from onnx_export_action.onnx_config.shapes import AxesMapping, DummyShapes, ShapeLimit, fixed_at
from onnx_export_action.vocabulary.names.axes import atomic_axes

if TYPE_CHECKING:
    from onnx_export_action.onnx_config.dummy_inputs.base import Array

CACHE_PREFIXES = ("past_key_values.", "present.")
# What the values of an input may be; the first that its name does not speak against is tried first.
KINDS = ("ids", "numbers", "flags")


@dataclass(frozen=True)
class Interface:
    """What is declared: the inputs and outputs with the axes that vary, and sizes by shape argument.

    No inputs, or no outputs: those that the configuration implies. A cache that none of them names stays too.
    ``generators`` make what the configuration's own do not make as declared.
    """

    inputs: AxesMapping = field(default_factory=dict)
    outputs: AxesMapping = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    generators: tuple[type[DummyInputGenerator], ...] = ()


class DeclaredInterface(OnnxConfig):
    """Stands before a configuration class and answers for what is declared."""

    interface: Interface

    @property
    def inputs(self) -> AxesMapping:
        """The declared inputs, and the implied cache under the declared name of the batch."""
        declared = self.interface.inputs
        implied = super().inputs  # type: ignore[safe-super] # it stands before a class that says them
        if not declared:
            return implied
        batch_varies = 0 in next(iter(declared.values()))
        inputs = {name: dict(axes) for name, axes in declared.items()}
        for name, axes in _cache(implied, declared):
            inputs[name] = {
                axis: self._declared_name(axis_name) for axis, axis_name in axes.items() if axis > 0 or batch_varies
            }
        return inputs

    @property
    def outputs(self) -> Axes:
        """The declared outputs, and the implied cache."""
        declared = self.interface.outputs
        if not declared:
            return super().outputs
        outputs = OrderedDict((name, dict(axes)) for name, axes in declared.items())
        for name, axes in _cache(super().outputs, declared):
            outputs[name] = {axis: self._declared_name(axis_name) for axis, axis_name in axes.items()}
        return outputs

    def _declared_name(self, name: str) -> str:
        """What the declaration calls an axis of the cache: one length has one name in a file."""
        names = {
            argument: part
            for axes in self.interface.inputs.values()
            for axis_name in axes.values()
            for part in atomic_axes(axis_name)
            for argument in AXIS_ARGUMENTS[part]
        }
        return " + ".join(names.get(AXIS_ARGUMENTS.get(part, (part,))[0], part) for part in atomic_axes(name))

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """As the configuration says; a declared size is the only one."""
        fixed = {name: fixed_at(size, "the declaration says so") for name, size in self.interface.sizes.items()}
        return super().shape_limits() | fixed

    def dummy_shapes(self, **requested: int) -> DummyShapes:
        """As the configuration does, in the declared sizes."""
        return super().dummy_shapes(**{**self.interface.sizes, **requested})


def _cache(implied: AxesMapping, declared: AxesMapping) -> list[tuple[str, Mapping[int, str]]]:
    if any(name.startswith(CACHE_PREFIXES) for name in declared):
        return []
    return [(name, axes) for name, axes in implied.items() if name.startswith(CACHE_PREFIXES)]


def with_interface(onnx_config: OnnxConfig, interface: Interface) -> OnnxConfig:
    """The same configuration, but for what the interface declares."""
    own = type(onnx_config)
    declared_class: type[DeclaredInterface] = type(f"Declared{own.__name__}", (DeclaredInterface, own), {})
    declared = object.__new__(declared_class)
    generators = (*interface.generators, *onnx_config.DUMMY_INPUT_GENERATOR_CLASSES, *GENERATORS)
    vars(declared).update(vars(onnx_config))
    vars(declared).update(interface=interface, DUMMY_INPUT_GENERATOR_CLASSES=tuple(dict.fromkeys(generators)))
    return declared


class DummyDeclaredInputGenerator(DummyInputGenerator):
    """An input that only its declaration describes; :func:`generator_of` makes the class for one."""

    AXES: ClassVar[Mapping[int, str | int]] = {}
    KIND: ClassVar[str] = KINDS[0]

    def supports_input(self, input_name: str) -> bool:
        """The one input, whose name may hold dots."""
        return input_name in self.SUPPORTED_INPUT_NAMES

    def array(self, input_name: str) -> Array:
        """Ids or flags as int64, numbers as float32; a mask of two axes is zero at padding as the others' is."""
        shape = tuple(self._size(self.AXES[axis]) for axis in sorted(self.AXES))
        if self.KIND == "numbers":
            return self.random_float_array(input_name, shape)
        if self.KIND == "ids":
            return self.random_int_array(input_name, shape, int(self.normalized_config.get("vocab_size", 2)))
        if input_name.endswith("mask") and shape == (self.batch_size, self.sequence_length):
            return self.padding_mask("text", *shape)
        return self.random_int_array(input_name, shape, 2)

    def _size(self, axis: str | int) -> int:
        if isinstance(axis, int):
            return axis
        return sum(int(getattr(self.shapes, AXIS_ARGUMENTS[part][0])) for part in atomic_axes(axis))


def generator_of(name: str, axes: Mapping[int, str | int], kind: str) -> type[DummyInputGenerator]:
    """A generator for one declared input, all of whose axes are named or sized."""
    attributes: dict[str, Any] = {"SUPPORTED_INPUT_NAMES": (name,), "AXES": dict(axes), "KIND": kind}
    return type(f"Dummy{kind.capitalize()}Generator", (DummyDeclaredInputGenerator,), attributes)


def likely_kinds(name: str) -> tuple[str, ...]:
    """What an input of this name may hold, the likeliest first."""
    if name.endswith(("mask", "_flags")):
        return ("flags", "numbers", "ids")
    if name.endswith(("ids", "tokens", "labels", "indices", "positions")):
        return ("ids", "flags", "numbers")
    return ("numbers", "ids", "flags")
