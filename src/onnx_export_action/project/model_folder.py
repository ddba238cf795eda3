"""What a model's folder says of itself: nothing in it leads out, and its configuration names a model type."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx_export_action.project.confinement import require_confined
from onnx_export_action.project.other_libraries import (
    DIFFUSERS_TYPES,
    as_model_config,
    as_sentence_config,
    diffusers_class,
    embeds_sentences,
)
from onnx_export_action.project.sentence_modules import config_folder
from onnx_export_action.vocabulary.errors import config_error, plan_error
from onnx_export_action.vocabulary.names.file_names import CONFIG_NAME, MAX_CONFIG_BYTES


@dataclass(frozen=True)
class DescribedModel:
    """The configuration as the register knows it, its model type, and whether its classes are code of the folder."""

    config: dict[str, Any]
    model_type: str
    has_own_code: bool


def described_model(folder: Path, task: str) -> DescribedModel:
    """Read what is there, for ``task``: of a folder of sentence-transformers as a whole, or of the model in it.

    Raises:
        ExportError: something leads out of the folder, or its configuration is none or names no model type.
    """
    require_confined(folder)
    config = read_model_config(folder)
    if embeds_sentences(folder, config, task):
        config = as_sentence_config(folder, config)
    return DescribedModel(config, _model_type(config, folder), needs_remote_code(config))


def _model_type(config: dict[str, Any], folder: Path) -> str:
    path = folder / CONFIG_NAME
    if class_name := diffusers_class(config):
        raise config_error(
            f"{path}: {class_name} of diffusers has no configuration class",
            f"of a pipeline these are exported: {', '.join(DIFFUSERS_TYPES)}, and models of transformers",
            keys=["_class_name"],
        )
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise config_error(f"{path} has no model_type", 'it names the architecture, for example "model_type": "bert"')
    return model_type


def read_model_config(folder: Path) -> dict[str, Any]:
    """Read ``config.json`` as plain data, for the plan; of what another library saved, as the register knows it.

    Raises:
        ExportError: it is missing, not JSON, or not an object.
    """
    path = config_folder(folder) / CONFIG_NAME
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise config_error(f"{path} is larger than {MAX_CONFIG_BYTES >> 20} MiB: not a model configuration")
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise plan_error(f"{folder} has no config.json", _where_a_model_is(folder)) from error
    except json.JSONDecodeError as error:
        raise config_error(f"{path}:{error.lineno}:{error.colno}: not valid JSON: {error.msg}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise config_error(f"{path}: not valid JSON: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise config_error(f"{path} cannot be read: {error.strerror}") from error
    if not isinstance(config, dict):
        raise config_error(f"{path}: a model configuration is a JSON object, this is a {type(config).__name__}")
    return as_model_config(config)


def _where_a_model_is(folder: Path) -> str:
    if not (folder / "model_index.json").is_file():
        return "give the folder that `save_pretrained` wrote"
    parts = sorted(path.parent.name for path in folder.glob("*/config.json"))
    return f"it is a pipeline of diffusers, each part of which is a model of its own: {', '.join(parts)}"


def needs_remote_code(config: dict[str, Any]) -> bool:
    """Whether the configuration says that its classes live in the repository."""
    auto_map = config.get("auto_map")
    return isinstance(auto_map, dict) and bool(auto_map)
