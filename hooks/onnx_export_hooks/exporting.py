"""What an export of a model would be: its task, its files' inputs and outputs. Asks the register; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from onnx_export_action.onnx_config.registry import TasksManager
from onnx_export_action.onnx_config.shapes import ShapeLimit
from onnx_export_action.project.other_libraries import as_model_config, as_sentence_config, embeds_sentences
from onnx_export_action.project.settings import Target
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.manifest import OnnxFileRecord
from onnx_export_action.vocabulary.names.components import USE_CACHE_BRANCH
from onnx_export_hooks.model_config import ModelConfig, is_whole
from onnx_export_hooks.model_types import model_type_names

MAX_LAYERS = 10_000  # a cache is described layer by layer
LABELLED_TASKS = frozenset(
    {"text-classification", "token-classification", "image-classification", "audio-classification"}
)
# What a value that nobody checked may raise inside a configuration class.
_UNUSABLE = (AttributeError, TypeError, ValueError, KeyError, IndexError, ZeroDivisionError, OverflowError, ExportError)


class Signature(msgspec.Struct, frozen=True):
    """Inputs and outputs by name, each with its axes that vary (number -> name)."""

    inputs: dict[str, dict[int, str]]
    outputs: dict[str, dict[int, str]]


class Plan(msgspec.Struct, frozen=True):
    """An export: per component (``model``, ``decoder_model`` ...) its signature, and the sizes it takes."""

    task: str
    signatures: dict[str, Signature]
    limits: dict[str, ShapeLimit]

    def outputs(self) -> list[str]:
        """Every output of every file, once."""
        return list(dict.fromkeys(name for signature in self.signatures.values() for name in signature.outputs))

    def inputs(self) -> list[str]:
        """Every input of every file, once."""
        return list(dict.fromkeys(name for signature in self.signatures.values() for name in signature.inputs))

    def signature_of(self, file: OnnxFileRecord) -> Signature | None:
        """What a file of the manifest would have; a merged decoder takes both decoders' inputs."""
        parts = [self.signatures.get(name) for name in file.components]
        known = [part for part in parts if part is not None]
        if not known or len(known) != len(parts):
            return None
        inputs = {name: axes for part in reversed(known) for name, axes in part.inputs.items()}
        if len(known) > 1:
            inputs[USE_CACHE_BRANCH] = {}
        return Signature(inputs, known[0].outputs)


def registered_values(config: ModelConfig, folder: Path, task: str) -> dict[str, Any]:
    """What config.json says, with the ``model_type`` under which the register knows the folder for a task.

    Raises:
        ExportError: the modules of a folder of sentence-transformers cannot be exported.
    """
    values = as_model_config(config.values)
    return as_sentence_config(folder, values) if embeds_sentences(folder, values, task) else values


def is_inferred(model_type: Any) -> bool:
    """Whether no class says how the type is exported: it is found from the model itself, which no hook loads.

    What is no name of a type is nothing to ask the register about either.
    """
    if not isinstance(model_type, str):
        return True
    return model_type in model_type_names() and model_type not in TasksManager.get_supported_model_types()


def exported_task(target: Target, values: Mapping[str, Any]) -> str:
    """The task that the target would be exported for.

    Raises:
        ExportError: the model type is not registered, has no such task, or config.json does not tell which.
    """
    model_type = str(values.get("model_type"))
    tasks = TasksManager.get_supported_tasks_for_model_type(model_type)
    if target.task == "auto":
        return TasksManager.infer_task_from_config(values)
    TasksManager.get_exporter_config_constructor("onnx", task=target.task, model_type=model_type)
    return next(task for task in tasks if task == TasksManager.map_from_synonym(target.task))


def export_plan(config: ModelConfig, task: str, model_type: str) -> Plan | None:
    """What the export for a task would give; None where the configuration cannot say (its mistakes have own rules)."""
    if any(is_whole(value) and value > MAX_LAYERS for value in _layer_counts(config)):
        return None
    try:
        constructor = TasksManager.get_exporter_config_constructor("onnx", task=task, model_type=model_type)
        parts = constructor(config.as_object()).components()
        signatures = {
            name: Signature(
                {key: dict(axes) for key, axes in part.inputs.items()},
                {key: dict(axes) for key, axes in part.outputs.items()},
            )
            for name, part in parts
        }
        limits = {name: limit for _, part in parts for name, limit in part.shape_limits().items() if _is_usable(limit)}
    except _UNUSABLE:
        return None
    return Plan(task, signatures, limits)


def _is_usable(limit: ShapeLimit) -> bool:
    """A limit has the type of what config.json says, which may be anything."""
    return is_whole(limit.minimum) and (limit.maximum is None or is_whole(limit.maximum))


def positions_of(config: ModelConfig) -> int | None:
    """How many positions the model has; None where there is no end, or the model type is not registered."""
    model_type = config.model_type
    if model_type is None or model_type not in TasksManager.get_supported_model_types():
        return None
    try:
        constructors = TasksManager.get_supported_tasks_for_model_type(model_type)
        length = next(iter(constructors.values()))(config.as_object()).max_sequence_length
    except _UNUSABLE:
        return None
    return length if isinstance(length, int) and length >= 1 else None


def _layer_counts(config: ModelConfig) -> list[Any]:
    return [
        value
        for part in config.all_parts()
        for name, value in (part.facts.defaults | part.values).items()
        if "layer" in name or "block" in name
    ]


def same_task(one: str, other: str) -> bool:
    """Whether two names mean the same task."""
    return TasksManager.map_from_synonym(one) == TasksManager.map_from_synonym(other)
