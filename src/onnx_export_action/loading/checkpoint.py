"""The weight files of a model's folder, checked before seconds are spent on importing what would load them.

Imports no torch.
"""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

from onnx_export_action.project.lfs import POINTER_START
from onnx_export_action.project.safetensors_header import HeaderError, read_header
from onnx_export_action.project.sentence_modules import config_folder
from onnx_export_action.project.weight_names import EXPLICIT_KEY, INDEX_SUFFIX, is_explicit, weights_in
from onnx_export_action.vocabulary.errors import load_error
from onnx_export_action.vocabulary.names.file_names import CONFIG_NAME
from onnx_export_action.vocabulary.problems import quoted

# What torch.distributed.checkpoint writes: transformers (5.23) takes such files before any other.
_DISTRIBUTED = re.compile(r"shard-\d{5}-model-\d{5}-of-\d{5}\.safetensors")


def weight_files(folder: Path) -> list[Path]:
    """The files that loading reads weights from, without their index, chosen as transformers chooses.

    Raises:
        ExportError: there are none, one is damaged or a Git LFS pointer, or the index names a shard that is missing.
    """
    folder = config_folder(folder)
    if any(_DISTRIBUTED.fullmatch(path.name) for path in folder.iterdir()):
        raise load_error(
            f"{folder} holds a distributed checkpoint (shard-00001-model-...)", "save it with `save_pretrained`"
        )
    names = weights_in(folder)
    if not names:
        raise load_error(
            f"{folder} holds no weights (model.safetensors or pytorch_model.bin)",
            "add them, or set `weights: random` (`--weights random`) to check the architecture alone",
        )
    index = folder / names[0] if names[0].endswith(INDEX_SUFFIX) else None
    if index is not None:
        _require_index(index)
    for name in names:
        _require_in_folder(name, folder, index)
    files = [folder / name for name in names if folder / name != index]
    for path in files:
        _require_whole(path)
    return files


def _require_in_folder(name: str, folder: Path, index: Path | None) -> None:
    source = index or folder / CONFIG_NAME
    if Path(name).name != name and not is_explicit(name, folder):
        raise load_error(f"{source} names a shard outside its folder: {quoted(name)}")
    if not name.endswith((".safetensors", ".bin", INDEX_SUFFIX)):
        raise load_error(f"{source} names {quoted(name)}, which is no file of weights")
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise load_error(f"{source}: {EXPLICIT_KEY} names a file outside its folder: {quoted(name)}")
    if not (folder / name).is_file():
        raise load_error(f"{source} names {quoted(name)}, which is missing", "fetch every file (`git lfs pull`)")


def _require_index(index: Path) -> None:
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
        listed, _ = content["weight_map"].values(), content["metadata"]
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise load_error(f"{index} is not a weight index: {type(error).__name__}: {str(error)[:200]}") from error
    if not listed:
        raise load_error(f"{index} names no shards", "save the weights again")
    if not all(isinstance(shard, str) for shard in listed):
        raise load_error(f"{index} is not a weight index: it must name a file for every tensor")


def _require_whole(path: Path) -> None:
    """Refuse what cannot be loaded, with what is wrong with it."""
    try:
        with path.open("rb") as file:
            start = file.read(len(POINTER_START))
        if start == POINTER_START:
            raise load_error(
                f"{path} is a Git LFS pointer, not the weights",
                "run `git lfs pull`, or set `lfs: true` on actions/checkout",
            )
        damage = _safetensors_damage(path) if path.suffix == ".safetensors" else _pickle_damage(path, start)
    except OSError as error:
        raise load_error(f"{path} cannot be read: {error.strerror}") from error
    if damage is not None:
        raise load_error(f"{path} is damaged or truncated: {damage}", "fetch or save the weights again")


def _safetensors_damage(path: Path) -> str | None:
    try:
        read_header(path)
    except HeaderError as error:
        return str(error)
    return None


def _pickle_damage(path: Path, start: bytes) -> str | None:
    """PyTorch writes a zip archive, whose directory is at its end; before 1.6 it wrote a plain pickle."""
    if not start:
        return "it is empty"
    return "its end is missing" if start.startswith(b"PK") and not zipfile.is_zipfile(path) else None
