"""The plan: what is to be exported, from where, as what. A :class:`Job` is all that the later stages are given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT

TORCHSCRIPT = "torchscript"  # the engine of the other format


class OutputTolerance(msgspec.Struct, frozen=True, kw_only=True):
    """Declared tolerance of one output; None leaves that part to the default.

    An element may be off by ``atol + rtol * |torch|``. Over all elements the file must keep ``sqnr_db`` decibels of
    signal over noise and the ``cosine``, and choose the same largest logit in ``agreement`` of the rows.
    """

    atol: float | None = None
    rtol: float | None = None
    sqnr_db: float | None = None
    cosine: float | None = None
    agreement: float | None = None


class LatencyBounds(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for latency to be measured; what is given bounds ONNX Runtime's median, in ms or relative to PyTorch's."""

    max_ms: float | None = None
    max_ratio: float | None = None


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


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One target, resolved: the model's files are on disk and its task is known.

    ``variant_tolerance`` is by variant, then by output name; ``high_precision`` holds by variant the nodes that stay in
    float32, or ``auto`` alone.
    """

    name: str
    source: str
    folder: Path
    model_type: str
    task: str
    destination: Path
    revision: str | None = None
    weights: str = "load"
    seed: int = 0
    opset: int = 18
    engine: str = "auto"
    shapes: dict[str, list[int]] = {}
    samples: Path | None = None
    tolerance: dict[str, OutputTolerance] = {}
    default_tolerance: OutputTolerance = OutputTolerance()
    variants: tuple[str, ...] = (REFERENCE_VARIANT,)
    variant_tolerance: dict[str, dict[str, OutputTolerance]] = {}
    high_precision: dict[str, list[str]] = {}
    latency: LatencyBounds | None = None
    trust_remote_code: bool = False
    declaration: Declaration = Declaration()
    flat_layout: bool = False
    validate: bool = True

    @property
    def file_folder_name(self) -> str:
        """Folder of the exported files inside the artifact folder; the legacy call puts them at the top."""
        if self.flat_layout:
            return "."
        return TORCHSCRIPT if self.engine == TORCHSCRIPT else "onnx"
