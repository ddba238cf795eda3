"""From what a user asks to a job: the model is found, its configuration read, its task settled."""

from __future__ import annotations

import os
from pathlib import Path

from onnx_export_action.loading.checkpoint import weight_files
from onnx_export_action.loading.companions import require_whole_companions
from onnx_export_action.loading.source import locate_model
from onnx_export_action.onnx_config.registry import TasksManager
from onnx_export_action.onnx_config.registry.settling import settled_task
from onnx_export_action.project.model_folder import DescribedModel, described_model
from onnx_export_action.project.sample_files import read_samples
from onnx_export_action.project.settings import Target
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.errors import config_error, plan_error
from onnx_export_action.vocabulary.jobs import Job, Request
from onnx_export_action.vocabulary.names.file_names import CONFIG_NAME
from onnx_export_action.vocabulary.supported.versions import missing_packages


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
    if request.options.samples is not None:
        read_samples(request.options.samples)  # their mistakes are known before anything is loaded
    folder = locate_model(request.model, request.revision, weights=request.options.weights)
    model = described_model(folder.path, request.task)
    if request.options.weights is Weights.LOAD:
        weight_files(folder.path)
    require_whole_companions(folder.path)
    _require_code_allowed(request, folder.path, model)
    task = settled_task(request.task, model.model_type, model.config, declared=bool(request.options.declaration))
    return Job(
        name=request.name,
        source=request.model,
        folder=folder.path,
        revision=folder.revision,
        model_type=model.model_type,
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


def _require_code_allowed(request: Request, folder: Path, model: DescribedModel) -> None:
    registered = model.model_type in TasksManager.get_supported_model_types()
    if model.has_own_code and not registered and not request.trust_remote_code:
        raise config_error(
            f"{folder / CONFIG_NAME}: the model type {model.model_type!r} is defined by Python code inside the model's "
            "repository",
            "that code runs only when you allow it: --trust-remote-code",
            keys=["model_type"],
        )


def destination_of(target: Target, output: Path | None) -> Path:
    """The artifact folder of a target: its own, or the one of its name in ``output``."""
    return target.output if output is None else output / target.name


def result_path_of(destination: Path) -> Path:
    """Where the result of an artifact folder is written: beside it."""
    return destination.with_name(f"{destination.name}.result.json")
