"""What a target itself says of its files, instead of what its model type and task imply."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec


class DeclaredAxis(msgspec.Struct, frozen=True):
    """What a target says of one axis: its name where it varies, else its size; ``place`` is file, line and column."""

    name: str | int
    place: str


class DeclaredTensor(msgspec.Struct, frozen=True):
    """An input or output that a target declares: axis number -> axis, and where it stands."""

    axes: dict[int, DeclaredAxis]
    place: str

    def names(self) -> dict[int, str]:
        """The axes that vary."""
        return {number: axis.name for number, axis in self.axes.items() if isinstance(axis.name, str)}

    def sizes(self) -> dict[int, int]:
        """The axes of one size."""
        return {number: axis.name for number, axis in self.axes.items() if isinstance(axis.name, int)}


class ConfigurationClass(msgspec.Struct, frozen=True):
    """A class in a Python file of the repository, which runs only when the operator allows it."""

    file: Path
    class_name: str
    place: str


class Declaration(msgspec.Struct, frozen=True, kw_only=True):
    """What a target itself says of its files, instead of what its model type and task imply; all empty: nothing."""

    inputs: dict[str, DeclaredTensor] = {}
    outputs: dict[str, DeclaredTensor] = {}
    configuration_class: ConfigurationClass | None = None

    def __bool__(self) -> bool:
        return bool(self.inputs or self.outputs or self.configuration_class)

    @property
    def place(self) -> str:
        """Where the first input or output that it names stands."""
        return next(tensor.place for tensor in (*self.inputs.values(), *self.outputs.values()))

    def sha256(self) -> str | None:
        """Hash of what it says, wherever it stands, and of the class's file; None where it says nothing.

        Raises:
            OSError: the file cannot be read.
        """
        if not self:
            return None
        said = {"inputs": _axes(self.inputs), "outputs": _axes(self.outputs)}
        digest = hashlib.sha256(msgspec.json.encode(said))
        if self.configuration_class is not None:
            digest.update(self.configuration_class.class_name.encode())
            digest.update(self.configuration_class.file.read_bytes())
        return digest.hexdigest()


def _axes(tensors: Mapping[str, DeclaredTensor]) -> list[tuple[str, list[tuple[int, str | int]]]]:
    return [(name, sorted((n, axis.name) for n, axis in tensor.axes.items())) for name, tensor in tensors.items()]
