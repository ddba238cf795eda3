"""A model's folder stays by itself: its links and its configurations name no file and no model outside it.

Tokenizers and processors of transformers open what the strings of their configuration name (``"vocab":
"/etc/passwd"``), and what was read is saved into the artifact. So whatever names a file elsewhere is refused before
anything is loaded, under any key.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from onnx_export_action.project.places import is_inside, stays_inside
from onnx_export_action.project.sentence_modules import config_folder, module_folders
from onnx_export_action.project.weight_names import inner_models
from onnx_export_action.vocabulary.errors import plan_error
from onnx_export_action.vocabulary.names.file_names import MAX_CONFIG_BYTES
from onnx_export_action.vocabulary.problems import quoted

_LONGEST_PATH = 4096
# The one kind of data, beside the weights, whose strings are texts and never opened.
_VOCABULARIES = re.compile(r"tokenizer\.json|vocab\.json|added_tokens\.json|.*\.index\.json")
# Where a model was loaded from before it was saved: transformers writes these by itself and opens none of them.
_ORIGINS = frozenset({"_name_or_path", "name_or_path", "special_tokens_map_file"})
# What another library than transformers keeps in a folder of its own.
_TEMPLATES = "additional_chat_templates"
_NAMED = re.compile(r"\w")
# Attributes that name a model or code to fetch where the value is no plain name: transformers' ``backbone`` without its
# configuration, timm's ``architecture`` (``hf_hub:org/name``), kernels of the Hub.
_FETCHED = ("backbone", "architecture", "attn_implementation", "_attn_implementation", "experts_implementation")
_PLACES = re.compile(r"[/:]")


def require_confined(folder: Path) -> None:
    """Make sure that nothing in a model's folder leads out of it; reads its configurations, loads nothing.

    Links may lead to other files of the workspace (the current folder) but for what git keeps there, or of the same
    download of the Hub. Strings that happen to name no existing file are left alone.

    Raises:
        ExportError: a link or a string of a configuration names a file outside.
    """
    for path in _files(folder):
        _require_no_link_out(path, folder)
        if path.suffix == ".json" and not _VOCABULARIES.fullmatch(path.name):
            content = _content(path)
            _require_no_name_outside(content, path, folder)
            _require_no_other_model(content, path)


def _files(folder: Path) -> Iterator[Path]:
    """The files of the folder and of the models and modules in it, as transformers looks for them."""
    inner = (folder / name for name in (*inner_models(), *module_folders(folder), _TEMPLATES))
    for place in dict.fromkeys((folder, config_folder(folder), *inner)):
        if place.is_dir():
            yield from sorted(path for path in place.iterdir() if not path.is_dir())


def _require_no_link_out(path: Path, folder: Path) -> None:
    if not stays_inside(path, folder):
        raise plan_error(f"{path} is a link out of the model's folder", "replace the link by the file")


def _require_no_name_outside(content: Any, path: Path, folder: Path) -> None:
    for key, text in _strings(content):
        if key not in _ORIGINS and _names_a_file_outside(text, path.parent, folder):
            raise plan_error(
                f"{path}: {quoted(key)} names a file outside the model's folder: {quoted(text)}",
                "remove the entry, or put the file into the model's folder and name it from there",
            )


def _require_no_other_model(content: Any, path: Path) -> None:
    for values in _objects(content):
        for key in _FETCHED:
            value = values.get(key)
            is_described = key == "backbone" and isinstance(values.get("backbone_config"), dict)
            if isinstance(value, str) and _PLACES.search(value) and not is_described:
                raise plan_error(
                    f"{path}: {quoted(key)} names {quoted(value)}, which would be fetched from the Hub without a pin",
                    "replace it by what it stands for, such as `backbone_config`, which transformers 5 saves",
                )


def _content(path: Path) -> Any:
    """What a JSON file says; nothing where it is not JSON: its reader reports that."""
    if not path.is_file() or path.stat().st_size > MAX_CONFIG_BYTES:
        return None
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _strings(content: Any) -> Iterator[tuple[str, str]]:
    """Every string at any depth, with the nearest key above it."""
    for key, value in _values(content):
        if isinstance(value, str):
            yield key, value


def _objects(content: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object at any depth."""
    for _, value in _values(content):
        if isinstance(value, dict):
            yield value


def _values(content: Any) -> Iterator[tuple[str, Any]]:
    pending: list[tuple[str, Any]] = [("", content)]
    while pending:
        key, value = pending.pop()
        yield key, value
        if isinstance(value, dict):
            pending += value.items()
        elif isinstance(value, list):
            pending += ((key, item) for item in value)


def _names_a_file_outside(text: str, place: Path, folder: Path) -> bool:
    if not text or len(text) > _LONGEST_PATH or not text.isprintable() or not _NAMED.search(text):
        return False
    return any(_is_outside(base / name, folder) for name in _read_as_paths(text) for base in (Path(), place, folder))


def _read_as_paths(text: str) -> Iterable[str]:
    """The paths that a program might take a string for."""
    written = unquote(urlsplit(text).path) if text.lower().startswith("file:") else text
    expanded = os.path.expandvars(os.path.expanduser(written))  # noqa: PTH111 - Path's own raises for an unknown user
    return dict.fromkeys((written, expanded))


def _is_outside(path: Path, folder: Path) -> bool:
    """Whether there is such a file elsewhere; of folders those whose name cannot be a plain word."""
    try:
        return (path.is_file() or (len(path.parts) > 1 and path.exists())) and not is_inside(path, folder)
    except (OSError, ValueError, RuntimeError):  # a name too long, a link in a circle (RuntimeError in Python 3.11)
        return False
