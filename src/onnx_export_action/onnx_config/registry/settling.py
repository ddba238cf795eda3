"""Which task a model is exported for: the one that is asked for, or what its configuration says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnx_export_action.onnx_config.registry import TasksManager
from onnx_export_action.onnx_config.tasks import parse_task, task_name
from onnx_export_action.vocabulary.errors import config_error, plan_error


def settled_task(wanted: str, model_type: str, config: Mapping[str, Any], *, declared: bool) -> str:
    """The Hub's name of the task, for ``wanted``: ``auto``, ``default``, a name or a legacy one.

    ``declared`` says that the user declares inputs and outputs, so that the register need not know the task.

    Raises:
        ExportError: the model type has no such task.
    """
    if TasksManager.is_inferred(model_type, config):
        return TasksManager.infer_task_from_config(config) if wanted == "auto" else task_name(*parse_task(wanted))
    supported = TasksManager.get_supported_tasks_for_model_type(model_type)
    task = TasksManager.infer_task_from_config(config) if wanted == "auto" else TasksManager.map_from_synonym(wanted)
    if wanted == "default" and task not in supported:  # the legacy word for the type's own first task
        return next(iter(supported))
    if task not in supported and declared:  # which says what the register would have said
        return task_name(*parse_task(task))
    if task not in supported:
        tasks = f"its tasks are: {', '.join(supported)}"
        if wanted == "auto":
            inferred = " (inferred from the architectures in config.json)"
            raise config_error(f"{model_type} models have no task {task!r}{inferred}", tasks, keys=["architectures"])
        raise plan_error(f"{model_type} models have no task {task!r}", tasks)
    return task
