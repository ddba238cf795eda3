"""The records of ``manifest.json``: what was made, from what.

A manifest may come from a pull request: sizes are bounded, and paths stay inside the artifact folder.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.names.external_data import MOST_PIECES
from onnx_export_action.vocabulary.supported.version import VERSION

MANIFEST_NAME = "manifest.json"

SCHEMA_VERSION = 1

END_OF_TEXT = r"(?![\s\S])"
"""Unlike ``$``, never before a final line break, in every dialect of regular expressions."""

_PART = r"(?!\.{1,2}(?:/|$))[^/\\:\x00-\x1f\x7f]+"

RelativePath: TypeAlias = Annotated[str, msgspec.Meta(max_length=500, pattern=rf"^{_PART}(?:/{_PART})*{END_OF_TEXT}")]

Sha256: TypeAlias = Annotated[str, msgspec.Meta(pattern=rf"^[0-9a-f]{{64}}{END_OF_TEXT}")]

Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=500)]

Size: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]

Hashes: TypeAlias = Annotated[dict[RelativePath, Sha256], msgspec.Meta(max_length=10_000)]


class _Struct(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of the manifest's structs: keyword only, unknown fields refused."""


class ModelRecord(_Struct):
    """What was exported: where it came from and the SHA-256 of what shapes it.

    ``weight_hashes`` is by path inside the model's folder, empty for ``weights: random``.
    """

    source: Text
    model_type: Text
    task: Text
    config_sha256: Sha256
    weight_hashes: Hashes = {}
    revision: Text | None = None
    weights: Weights = Weights.LOAD


class TensorRecord(_Struct):
    """An input or output of a file. ``dtype`` as numpy names it; an axis is a size, or a name where it varies."""

    dtype: Text
    shape: Annotated[list[Size | Text], msgspec.Meta(max_length=64)]


class FileRecord(_Struct):
    """A file of the artifact folder; ``path`` is relative to it, with ``/`` between its parts."""

    path: RelativePath
    bytes: Size
    sha256: Sha256


class OnnxFileRecord(FileRecord):
    """An ONNX file, or a TorchScript file (engine ``torchscript``, opset 0).

    ``components`` names what it computes: two for a merged decoder. ``engine`` and ``opset`` are what wrote this very
    file; ``external_data`` are the pieces of its weights, in their order, where they do not lie in the file itself.
    """

    components: Annotated[list[Text], msgspec.Meta(min_length=1, max_length=16)]
    variant: Text
    engine: Text
    opset: Annotated[int, msgspec.Meta(ge=0)]
    inputs: Annotated[dict[Text, TensorRecord], msgspec.Meta(max_length=10_000)]
    outputs: Annotated[dict[Text, TensorRecord], msgspec.Meta(max_length=10_000)]
    external_data: Annotated[list[FileRecord], msgspec.Meta(max_length=MOST_PIECES)] = []


class Manifest(_Struct, kw_only=True):
    """The content of ``manifest.json``. ``engine``, ``opset`` and ``variants`` are what the target asked for.

    ``declaration_sha256`` is of what it said itself of inputs and outputs, None where it said nothing.
    """

    schema_version: Annotated[int, msgspec.Meta(ge=SCHEMA_VERSION, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    created_by: Text = f"onnx-export-action {VERSION}"
    target: Text
    model: ModelRecord
    seed: int
    engine: Text
    opset: Annotated[int, msgspec.Meta(ge=1)]
    variants: Annotated[list[Text], msgspec.Meta(min_length=1, max_length=64)]
    declaration_sha256: Sha256 | None = None
    packages: Annotated[dict[Text, Text], msgspec.Meta(max_length=1000)]
    files: Annotated[list[OnnxFileRecord], msgspec.Meta(min_length=1, max_length=1000)]
    other_files: Annotated[list[FileRecord], msgspec.Meta(max_length=1000)] = []

    def __post_init__(self) -> None:
        paths = [record.path.casefold() for record in self.all_files()]
        if len(paths) != len(set(paths)):
            message = "two files have the same path"
            raise ValueError(message)

    def all_files(self) -> list[FileRecord]:
        """Every file that the artifact folder holds, but for the manifest itself."""
        external = [record for file in self.files for record in file.external_data]
        return [*self.files, *external, *self.other_files]
