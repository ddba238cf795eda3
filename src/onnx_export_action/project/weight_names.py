"""Which files of a model's folder hold its weights, by transformers' own rules, without opening the weights.

The rules are those of ``_get_resolved_checkpoint_files`` of transformers 5.23 (``from_pretrained`` of a folder) and of
``ModelMixin.from_pretrained`` of diffusers 0.42. A test compares them with the files that are opened.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from onnx_export_action.project.sentence_modules import (
    MODULES_NAME,
    config_folder,
    is_module_folder,
    module_files,
    module_folders,
)
from onnx_export_action.vocabulary.names.file_names import CONFIG_NAME

INDEX_SUFFIX = ".index.json"
# In the order in which a file is chosen: one file, or the index of several.
_OF_TRANSFORMERS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_OF_DIFFUSERS = (
    "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.bin",
)
# The key of config.json by which a checkpoint names its file.
EXPLICIT_KEY = "transformers_weights"
# Model type -> files that are read beside the weights (``extra_files`` of its configuration class).
EXTRA_FILES = {"jev": ("head.safetensors", "readout.safetensors")}
_MAX_JSON_BYTES = 64 * 2**20


def inner_models() -> list[str]:
    """The folders inside a model's that hold a model which its export is made of as well, of all model types."""
    from onnx_export_action.onnx_config.registry import TasksManager

    return TasksManager.inner_models()


def weight_paths(folder: Path) -> list[str]:
    """The weight files of a model's folder and of the models inside it, relative to it; a shard may be missing.

    Of a folder of sentence-transformers also what says how an embedding is put together.

    Raises:
        OSError: a folder cannot be read.
    """
    own = config_folder(folder)
    parts = [place for name in (*inner_models(), *module_folders(folder)) if (place := folder / name).is_dir()]
    found = [
        (place / name).relative_to(folder).as_posix()
        for place in dict.fromkeys((own, *(part for part in parts if part != own.resolve())))
        for name in weights_in(place)
    ]
    return list(dict.fromkeys(found)) + module_files(folder)


def weights_in(folder: Path) -> list[str]:
    """The files that loading one model reads its weights from, by their names in its folder: an index comes first.

    Raises:
        OSError: the folder cannot be read.
    """
    config = _object(folder / CONFIG_NAME)
    names = [path.name for path in folder.iterdir() if not path.is_dir()]
    chosen = chosen_name(names, config)
    if chosen is None:
        return []
    files = [chosen, *shards_of(folder / chosen)] if chosen.endswith(INDEX_SUFFIX) else [chosen]
    return files + [name for name in EXTRA_FILES.get(str(config.get("model_type")), ()) if name in names]


def chosen_name(names: Iterable[str], config: Mapping[str, Any] | None = None) -> str | None:
    """Of a folder's file names, the one that weights are loaded from, or their index; None where there is none."""
    settings = config or {}
    explicit = _explicit(settings)
    if explicit is not None:
        return explicit
    present = set(names)
    if "_class_name" in settings and "model_type" not in settings:
        return next((name for name in _OF_DIFFUSERS if name in present), None)
    return next((name for name in (*_OF_TRANSFORMERS, *_OF_DIFFUSERS) if name in present), None)


def is_explicit(name: str, folder: Path) -> bool:
    """Whether a model's config.json names this file as the one of its weights."""
    return _explicit(_object(folder / CONFIG_NAME)) == name


def _explicit(config: Mapping[str, Any]) -> str | None:
    name = config.get(EXPLICIT_KEY)
    return name if isinstance(name, str) and name else None


def shards_of(index: Path) -> list[str]:
    """The files that an index names; nothing where it is none: who loads the weights says so."""
    listed = _object(index).get("weight_map")
    values = listed.values() if isinstance(listed, dict) else ()
    return sorted({value for value in values if isinstance(value, str) and value})


def weights_and_parts(names: Iterable[str], config: Mapping[str, Any] | None = None) -> list[str]:
    """Of a repository's file names, those of its weights and of the weights of the models inside it."""
    present = list(names)
    folders = dict.fromkeys(name.partition("/")[0] for name in present if "/" in name)
    modules = [name for name in folders if MODULES_NAME in present and is_module_folder(name)]
    found = _with_shards(present, config)
    for part in (*inner_models(), *modules):
        inside = [name.removeprefix(f"{part}/") for name in present if name.startswith(f"{part}/")]
        found += [f"{part}/{name}" for name in _with_shards(inside)]
    return found


def _with_shards(names: list[str], config: Mapping[str, Any] | None = None) -> list[str]:
    """The chosen file; with an index whatever may be one of its shards, as its content is not known yet."""
    chosen = chosen_name(names, config)
    extra = [name for name in EXTRA_FILES.get(str((config or {}).get("model_type")), ()) if name in names]
    if chosen is None:
        return []
    if not chosen.endswith(INDEX_SUFFIX):
        return [chosen, *extra]
    stem, ending = chosen.removesuffix(INDEX_SUFFIX).rsplit(".", 1)
    pattern = re.compile(rf"{re.escape(stem)}[^/]+\.{re.escape(ending)}")
    return [chosen, *sorted(name for name in names if pattern.fullmatch(name)), *extra]


def _object(path: Path) -> dict[str, Any]:
    """What a JSON file says; nothing where it is missing, damaged or no object: who needs it says so."""
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            return {}
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
