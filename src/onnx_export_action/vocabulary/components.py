"""Names of files, and what the file of each name computes."""

from __future__ import annotations

from pathlib import Path

TORCHSCRIPT_SUFFIX = ".pt"

RUNTIMES = ("ONNX Runtime", "TorchScript")


def runtime_of(path: Path) -> str:
    """What runs a file, in words."""
    return RUNTIMES[path.suffix == TORCHSCRIPT_SUFFIX]


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
