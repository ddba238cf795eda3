"""``manifest.json``: what was made, from what. The same export writes the same bytes: no clock, no absolute path.

A manifest may come from a pull request: it is read with bounds, its paths stay inside the artifact folder, and its
hashes are claims to be checked with :func:`sha256_of`.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import Any

import msgspec

from onnx_export_action.project.sentence_modules import config_folder
from onnx_export_action.project.weight_names import weight_paths
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.errors import load_error, plan_error
from onnx_export_action.vocabulary.manifest import MANIFEST_NAME, Manifest
from onnx_export_action.vocabulary.names.file_names import CONFIG_NAME
from onnx_export_action.vocabulary.results import encode

MAX_BYTES = 16 * 1024 * 1024


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """SHA-256 of what a model's folder gives to an export: its configuration and its weight files."""

    config_sha256: str
    weight_hashes: dict[str, str]

    @property
    def sha256(self) -> str:
        """One hash over all of it."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


def fingerprint(model_folder: Path, *, weights: Weights = Weights.LOAD) -> Fingerprint:
    """Hash ``config.json`` and, for ``weights="load"``, the weight files that loading would read.

    Raises:
        ExportError: there is no config.json, or a file cannot be read.
    """
    config = config_folder(model_folder) / CONFIG_NAME
    if not config.is_file():
        raise plan_error(f"{model_folder} has no config.json", "give the folder that `save_pretrained` wrote")
    try:
        return Fingerprint(
            config_sha256=sha256_of(config),
            weight_hashes={
                path: sha256_of(model_folder / path) for path in weight_paths(model_folder) if weights is Weights.LOAD
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
