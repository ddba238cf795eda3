"""Which files of a model's folder hold its weights, by their names alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from onnx_export_action.project.sentence_modules import (
    MODULES_NAME,
    is_module_folder,
    module_files,
    module_folders,
)

# The last is what diffusers calls the weights of a pipeline's component.
SINGLE_NAMES = ("model.safetensors", "pytorch_model.bin", "diffusion_pytorch_model.safetensors")
INDEX_NAMES = tuple(f"{name}.index.json" for name in SINGLE_NAMES)


def inner_models() -> list[str]:
    """The folders inside a model's that hold a model which its export is made of as well, of all model types."""
    from onnx_export_action.onnx_config.registry import TasksManager

    return TasksManager.inner_models()


def weight_paths(folder: Path) -> list[str]:
    """The weight files of a model's folder and of the models inside it, relative to it.

    Of a folder of sentence-transformers also what says how an embedding is put together.

    Raises:
        OSError: a folder cannot be read.
    """
    parts = [*(part for part in inner_models() if (folder / part).is_dir()), *module_folders(folder)]
    places = [folder, *(folder / part for part in parts)]
    paths = [path for place in places for path in place.iterdir() if not path.is_dir()]
    return _chosen((path.relative_to(folder).as_posix() for path in paths), parts) + module_files(folder)


def weights_and_parts(names: Iterable[str]) -> list[str]:
    """Of a repository's file names, those of its weights and of the weights of the models inside it."""
    present = list(names)
    folders = dict.fromkeys(name.partition("/")[0] for name in present if "/" in name)
    modules = [name for name in folders if MODULES_NAME in present and is_module_folder(name)]
    return _chosen(present, [*inner_models(), *modules])


def _chosen(names: Iterable[str], parts: Iterable[str]) -> list[str]:
    present = list(names)
    chosen = chosen_weights(present)
    for part in parts:
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
