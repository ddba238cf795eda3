"""From what a user asks to a job: the model is found, its configuration read, its task settled."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from onnx_export_action.loading.checkpoint import weight_files
from onnx_export_action.loading.source import ModelFolder, locate_model, needs_remote_code, read_model_config
from onnx_export_action.onnx_config.registry import TasksManager
from onnx_export_action.onnx_config.tasks import parse_task, task_name
from onnx_export_action.project.other_libraries import (
    DIFFUSERS_TYPES,
    as_sentence_config,
    diffusers_class,
    embeds_sentences,
)
from onnx_export_action.project.sample_files import read_samples
from onnx_export_action.project.settings import Target
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.errors import config_error, plan_error
from onnx_export_action.vocabulary.file_names import CONFIG_NAME
from onnx_export_action.vocabulary.jobs import Job, Request
from onnx_export_action.vocabulary.versions import missing_packages


def request_of(target: Target, destination: Path, *, trust_remote_code: bool) -> Request:
    """The request that a target of ``onnx-export.yaml`` makes."""
    return Request(
        name=target.name,
        model=target.model if target.folder is None else os.path.relpath(target.folder),
        destination=destination,
        revision=target.revision,
        task=target.task,
        options=target.options,
        trust_remote_code=trust_remote_code,
        fail_on=target.fail_on,
        notes=target.notes,
    )


def plan_job(request: Request) -> Job:
    """Find the model, read its configuration and settle its task; loads no weights.

    Raises:
        ExportError: the model is not there, its weights are missing or damaged, or it has no such task.
    """
    _require_export_packages()
    _require_allowed(request)
    folder = locate_model(request.model, request.revision, weights=request.options.weights)
    config = read_model_config(folder.path)
    if embeds_sentences(folder.path, config, request.task):
        config = as_sentence_config(folder.path, config)
    model_type = _model_type(config, folder, request)
    task = _task(request, model_type, config)
    if request.options.weights is Weights.LOAD:
        weight_files(folder.path)
    if request.options.samples is not None:
        read_samples(request.options.samples)  # their mistakes are known before anything is loaded
    return Job(
        name=request.name,
        source=request.model,
        folder=folder.path,
        revision=folder.revision,
        model_type=model_type,
        task=task,
        destination=request.destination,
        options=request.options,
        trust_remote_code=request.trust_remote_code,
    )


def _require_export_packages() -> None:
    missing = missing_packages()
    if missing:
        raise plan_error(
            f"exporting needs {', '.join(missing)}, which this environment does not have",
            "pip install 'onnx-export-action[export]'",
        )


def _require_allowed(request: Request) -> None:
    code = request.options.declaration.configuration_class
    if code is not None and not request.trust_remote_code:
        raise plan_error(
            f"{code.place}: the configuration {code.class_name} is Python code of the repository ({code.file.name})",
            "it runs only when you allow it: --trust-remote-code, or `allow-remote-code: true` in a workflow",
        )


def _model_type(config: dict[str, Any], folder: ModelFolder, request: Request) -> str:
    path = folder.path / CONFIG_NAME
    model_type = config.get("model_type")
    if diffusers_class(config):
        raise config_error(
            f"{path}: {diffusers_class(config)} of diffusers has no configuration class",
            f"of a pipeline these are exported: {', '.join(DIFFUSERS_TYPES)}, and models of transformers",
            keys=["_class_name"],
        )
    if not isinstance(model_type, str) or not model_type:
        raise config_error(f"{path} has no model_type", 'it names the architecture, for example "model_type": "bert"')
    if needs_remote_code(config) and model_type not in TasksManager.get_supported_model_types():
        if request.trust_remote_code:
            return model_type
        raise config_error(
            f"{path}: the model type {model_type!r} is defined by Python code inside the model's repository",
            "that code runs only when you allow it: --trust-remote-code",
            keys=["model_type"],
        )
    return model_type


def _task(request: Request, model_type: str, config: dict[str, Any]) -> str:
    wanted = request.task
    if TasksManager.is_inferred(model_type, config):
        return TasksManager.infer_task_from_config(config) if wanted == "auto" else task_name(*parse_task(wanted))
    supported = TasksManager.get_supported_tasks_for_model_type(model_type)
    task = TasksManager.infer_task_from_config(config) if wanted == "auto" else TasksManager.map_from_synonym(wanted)
    if wanted == "default" and task not in supported:  # the legacy word for the type's own first task
        return next(iter(supported))
    if task not in supported and request.options.declaration:  # which says what the register would have said
        return task_name(*parse_task(task))
    if task not in supported:
        tasks = f"its tasks are: {', '.join(supported)}"
        if wanted == "auto":
            inferred = " (inferred from the architectures in config.json)"
            raise config_error(f"{model_type} models have no task {task!r}{inferred}", tasks, keys=["architectures"])
        raise plan_error(f"{model_type} models have no task {task!r}", tasks)
    return task


def destination_of(target: Target, output: Path | None) -> Path:
    """The artifact folder of a target: its own, or the one of its name in ``output``."""
    return target.output if output is None else output / target.name


def result_path_of(destination: Path) -> Path:
    """Where the result of an artifact folder is written: beside it."""
    return destination.with_name(f"{destination.name}.result.json")
