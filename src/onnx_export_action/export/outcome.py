"""What an export left in its folder, as plain values that cross from the exporting process. Imports no torch."""

from __future__ import annotations

import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from onnx_export_action.project.manifest import FileRecord, OnnxFileRecord, TensorRecord


class ExportOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an export made. ``timings`` are seconds, ``notes`` what the report should say."""

    files: list[OnnxFileRecord]
    companions: list[FileRecord]
    packages: dict[str, str]
    timings: dict[str, float]
    peak_rss_bytes: int
    notes: list[str] = []


TORCHSCRIPT_SUFFIX = ".pt"
RUNTIMES = ("ONNX Runtime", "TorchScript")
SIGNATURE_NAME = "onnx-export.json"
_MAX_SIGNATURE_BYTES = 16 * 2**20


def runtime_of(path: Path) -> str:
    """What runs a file, in words."""
    return RUNTIMES[path.suffix == TORCHSCRIPT_SUFFIX]


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


DECODER, DECODER_WITH_PAST, MERGED_DECODER = "decoder_model", "decoder_with_past_model", "decoder_model_merged"

# Files of types that are split otherwise than into an encoder and decoders.
PART_FILES = (
    "vision_encoder",
    "prompt_encoder_mask_decoder",
    "decoder_postnet",
    "decoder_postnet_and_vocoder",
    "text_encoder",
    "encodec_decode",
    "build_delay_pattern_mask",
)

COMPONENTS_OF_FILE = {
    "model": ["model"],
    "encoder_model": ["encoder_model"],
    DECODER: [DECODER],
    DECODER_WITH_PAST: [DECODER_WITH_PAST],
    MERGED_DECODER: [DECODER, DECODER_WITH_PAST],
    **{name: [name] for name in PART_FILES},
}
"""What the ONNX file of each name computes: one component of the model, or two behind ``use_cache_branch``."""

PACKAGES = ("torch", "transformers", "onnx", "onnxruntime", "onnxscript", "numpy", "safetensors", "tokenizers")


def installed_packages() -> dict[str, str]:
    """Versions of the packages that shape an export."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
