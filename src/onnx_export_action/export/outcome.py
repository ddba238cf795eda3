"""What an export left in its folder, as plain values that cross from the exporting process. Imports no torch."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import msgspec

from onnx_export_action.project.manifest import FileRecord, OnnxFileRecord


class ExportOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an export made. ``timings`` are seconds, ``notes`` what the report should say."""

    files: list[OnnxFileRecord]
    companions: list[FileRecord]
    packages: dict[str, str]
    timings: dict[str, float]
    peak_rss_bytes: int
    notes: list[str] = []


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
