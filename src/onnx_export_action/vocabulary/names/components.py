"""Names of files, and what the file of each name computes."""

from __future__ import annotations

import enum
from collections.abc import Collection
from pathlib import Path

ONNX_FOLDER, TORCHSCRIPT_FOLDER = "onnx", "torchscript"
TORCHSCRIPT_SUFFIX = ".pt"

RUNTIMES = ("ONNX Runtime", "TorchScript")


def runtime_of(path: Path) -> str:
    """What runs a file, in words."""
    return RUNTIMES[path.suffix == TORCHSCRIPT_SUFFIX]


class ComponentKind(enum.Enum):
    """Which part of a model one file holds, and so how the model is called; the value names the file."""

    MODEL = "model"
    ENCODER = "encoder_model"
    DECODER = "decoder_model"
    DECODER_WITH_PAST = "decoder_with_past_model"


DECODER, DECODER_WITH_PAST = ComponentKind.DECODER.value, ComponentKind.DECODER_WITH_PAST.value
MERGED_DECODER = "decoder_model_merged"
"""Computes both."""

USE_CACHE_BRANCH = "use_cache_branch"
"""The input by which a merged decoder chooses which."""


def components_of_file(name: str) -> list[str]:
    """What the file ``name.onnx`` computes: the component of that name, or two."""
    return [DECODER, DECODER_WITH_PAST] if name == MERGED_DECODER else [name]


def files_of_components(components: Collection[str]) -> list[str]:
    """The names of the files that hold ``components``, without ending: of both decoders a merged one too."""
    merged = [MERGED_DECODER] if {DECODER, DECODER_WITH_PAST} <= set(components) else []
    return [*components, *merged]
