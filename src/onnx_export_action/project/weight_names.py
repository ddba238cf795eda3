"""Which files of a model's folder hold its weights, by their names alone."""

from __future__ import annotations

import re
from collections.abc import Iterable

SINGLE_NAMES = ("model.safetensors", "pytorch_model.bin")
INDEX_NAMES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


def chosen_weights(names: Iterable[str]) -> list[str]:
    """Of a repository's file names, those of its weights: one file, or an index with its shards.

    The order is that of transformers (``_get_resolved_checkpoint_files``): safetensors, its shards, PyTorch's own.
    """
    present = set(names)
    for single, index in zip(SINGLE_NAMES, INDEX_NAMES, strict=True):
        if single in present:
            return [single]
        if index in present:
            stem, ending = single.rsplit(".", 1)
            return [index, *sorted(name for name in present if re.fullmatch(rf"{stem}[^/]+\.{ending}", name))]
    return []
