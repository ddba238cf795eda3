"""Which files of a model's folder hold its weights, by their names alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

# The last is what diffusers calls the weights of a pipeline's component.
SINGLE_NAMES = ("model.safetensors", "pytorch_model.bin", "diffusion_pytorch_model.safetensors")
INDEX_NAMES = tuple(f"{name}.index.json" for name in SINGLE_NAMES)


# A model inside another's folder, which its export is made of as well: the vocoder of SpeechT5.
PARTS = ("vocoder",)


def weight_paths(folder: Path) -> list[str]:
    """The weight files of a model's folder and of the models inside it, relative to it.

    Raises:
        OSError: a folder cannot be read.
    """
    inside = [folder / part for part in PARTS if (folder / part).is_dir()]
    paths = [path for place in (folder, *inside) for path in place.iterdir() if not path.is_dir()]
    return weights_and_parts(path.relative_to(folder).as_posix() for path in paths)


def weights_and_parts(names: Iterable[str]) -> list[str]:
    """Of a repository's file names, those of its weights and of the weights of the models inside it."""
    present = list(names)
    chosen = chosen_weights(present)
    for part in PARTS:
        inside = [name.removeprefix(f"{part}/") for name in present if name.startswith(f"{part}/")]
        chosen += [f"{part}/{name}" for name in chosen_weights(inside)]
    return chosen


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
