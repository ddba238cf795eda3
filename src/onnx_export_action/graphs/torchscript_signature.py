"""What a TorchScript file says of itself, read without running it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import msgspec

from onnx_export_action.vocabulary.manifest import TensorRecord

SIGNATURE_NAME = "onnx-export.json"

_MAX_SIGNATURE_BYTES = 16 * 2**20


class Signature(msgspec.Struct, frozen=True):
    """What a TorchScript file takes and gives, which it says of itself under ``SIGNATURE_NAME``."""

    inputs: dict[str, TensorRecord]
    outputs: dict[str, TensorRecord]


def read_signature(path: Path) -> Signature:
    """Read it without running the file, which is a zip archive.

    Raises:
        ValueError: the file is no such archive, or says nothing of itself.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith(f"/extra/{SIGNATURE_NAME}"))
            if archive.getinfo(name).file_size > _MAX_SIGNATURE_BYTES:
                raise zipfile.BadZipFile
            return msgspec.json.decode(archive.read(name), type=Signature)
    except (OSError, StopIteration, zipfile.BadZipFile, msgspec.DecodeError) as error:
        message = f"{path} is no TorchScript file of this project"
        raise ValueError(message) from error
