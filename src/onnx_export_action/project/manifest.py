"""``manifest.json``: what was made, from what. The same export writes the same bytes: no clock, no absolute path.

A manifest may come from a pull request: it is read with bounds, its paths stay inside the artifact folder, and its
hashes are claims to be checked with :func:`sha256_of`.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from onnx_export_action import __version__
from onnx_export_action.errors import load_error, plan_error
from onnx_export_action.project.sentence_modules import config_folder
from onnx_export_action.project.weight_names import weight_paths
from onnx_export_action.results import encode

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1
MAX_BYTES = 16 * 1024 * 1024

_END = r"(?![\s\S])"  # unlike '$', never before a final line break
_PART = r"(?!\.{1,2}(?:/|$))[^/\\:\x00-\x1f\x7f]+"

RelativePath: TypeAlias = Annotated[str, msgspec.Meta(max_length=500, pattern=rf"^{_PART}(?:/{_PART})*{_END}")]
Sha256: TypeAlias = Annotated[str, msgspec.Meta(pattern=rf"^[0-9a-f]{{64}}{_END}")]
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
    weights: Literal["load", "random"] = "load"


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
    file; ``external_data`` holds its weights beyond 2 GB.
    """

    components: Annotated[list[Text], msgspec.Meta(min_length=1, max_length=16)]
    variant: Text
    engine: Text
    opset: Annotated[int, msgspec.Meta(ge=0)]
    inputs: Annotated[dict[Text, TensorRecord], msgspec.Meta(max_length=10_000)]
    outputs: Annotated[dict[Text, TensorRecord], msgspec.Meta(max_length=10_000)]
    external_data: Annotated[list[FileRecord], msgspec.Meta(max_length=16)] = []


class Manifest(_Struct, kw_only=True):
    """The content of ``manifest.json``. ``engine``, ``opset`` and ``variants`` are what the target asked for.

    ``declaration_sha256`` is of what it said itself of inputs and outputs, None where it said nothing.
    """

    schema_version: Annotated[int, msgspec.Meta(ge=SCHEMA_VERSION, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    created_by: Text = f"onnx-export-action {__version__}"
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


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """SHA-256 of what a model's folder gives to an export: its configuration and its weight files."""

    config_sha256: str
    weight_hashes: dict[str, str]

    @property
    def sha256(self) -> str:
        """One hash over all of it."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


def fingerprint(model_folder: Path, *, weights: str = "load") -> Fingerprint:
    """Hash ``config.json`` and, for ``weights="load"``, the weight files that loading would read.

    Raises:
        ExportError: there is no config.json, or a file cannot be read.
    """
    config = config_folder(model_folder) / "config.json"
    if not config.is_file():
        raise plan_error(f"{model_folder} has no config.json", "give the folder that `save_pretrained` wrote")
    try:
        return Fingerprint(
            config_sha256=sha256_of(config),
            weight_hashes={
                path: sha256_of(model_folder / path) for path in weight_paths(model_folder) if weights == "load"
            },
        )
    except OSError as error:
        raise load_error(f"{error.filename} cannot be read: {error.strerror}") from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, read in pieces.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write ``manifest.json``; a reader sees the whole file or none.

    Raises:
        OSError: the folder cannot be written to.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with partial.open("xb") as stream:
            stream.write(encode(manifest))
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_manifest(path: Path) -> Manifest:
    """Read and check one ``manifest.json``.

    Raises:
        ValueError: the file is not a manifest of this schema; the message says where.
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        message = f"{path}: larger than {MAX_BYTES >> 20} MiB: not a manifest"
        raise ValueError(message)
    try:
        return msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"{path}: not a manifest of this version of onnx-export: {error}"
        raise ValueError(message) from error


def earlier_files(folder: Path) -> list[Path]:
    """What the manifest in ``folder`` says was written there, relative to it; nothing where it cannot be trusted."""
    try:
        return [Path(record.path) for record in read_manifest(folder / MANIFEST_NAME).all_files()]
    except (OSError, ValueError):
        return []


def manifest_schema() -> dict[str, Any]:
    """JSON Schema of ``manifest.json``."""
    return msgspec.json.schema(Manifest)
