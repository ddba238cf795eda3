"""Which configuration a loaded model is exported with: the target's own, its type's registered one, or an inferred."""

from __future__ import annotations

from typing import Any

from onnx_export_action.configuring.declaring import declared_notes, declared_onnx_config
from onnx_export_action.configuring.inference import infer_onnx_config
from onnx_export_action.configuring.user_class import user_onnx_config
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.inferred import InferredOnnxConfig
from onnx_export_action.onnx_config.registry import TasksManager
from onnx_export_action.onnx_config.tasks import missing_modalities
from onnx_export_action.project.other_libraries import SENTENCE_CLIP, SENTENCE_MODEL
from onnx_export_action.project.sentence_modules import read_sentence_modules
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.jobs import Job
from onnx_export_action.vocabulary.results import Stage

INFERRED_NOTE = (
    "the configuration was inferred from runs of the model: its type has no configuration class; "
    "sizes and inputs that the runs did not show are not part of the file"
)


def onnx_config_for(model: Any, job: Job) -> OnnxConfig:
    """The configuration of a loaded model for the job's task.

    Raises:
        ExportError: the model type is not registered for the task, no call of the model was found that runs, what the
            target declares does not fit the model, or no file would take what the task is about.
    """
    onnx_config = _found(model, job)
    _require_inputs_of_task(onnx_config, job)
    return onnx_config


def _require_inputs_of_task(onnx_config: OnnxConfig, job: Job) -> None:
    inputs = [name for _, component in onnx_config.components() for name in component.inputs]
    missing = [one for one in missing_modalities(job.task, inputs) if one not in onnx_config.OTHER_FORMS]
    if missing:
        given = ", ".join(name for name in dict.fromkeys(inputs) if not name.startswith("past_"))
        raise ExportError(
            f"the task {job.task} is about {missing[0].words}, and no input of its files takes it ({given})",
            stage=Stage.EXPORT,
            hint="declare the `inputs` of the target, or choose the task of the part that is wanted",
        )


def _found(model: Any, job: Job) -> OnnxConfig:
    declaration = job.options.declaration
    if declaration.configuration_class is not None:
        return user_onnx_config(model, declaration.configuration_class, job.task)
    registered = None
    if not is_inferred(job):
        constructor = TasksManager.get_exporter_config_constructor("onnx", model_type=job.model_type, task=job.task)
        registered = constructor(model.config)
    if declaration:
        return declared_onnx_config(model, job.task, declaration, registered)
    return infer_onnx_config(model, job.task) if registered is None else registered


def configuration_notes(job: Job, onnx_config: OnnxConfig) -> list[str]:
    """What the report says of where the configuration comes from."""
    code = job.options.declaration.configuration_class
    if code is not None:
        return [f"the configuration is the class {code.class_name} of {code.file.name}, code of the repository"]
    notes = _sentence_notes(job, onnx_config)
    if job.options.declaration:
        return notes + declared_notes(job.options.declaration, onnx_config)
    return notes + inferred_notes(onnx_config) if is_inferred(job) else notes


def inferred_notes(onnx_config: OnnxConfig) -> list[str]:
    """What the report says of a configuration that was inferred."""
    fixed = onnx_config.fixed_arguments if isinstance(onnx_config, InferredOnnxConfig) else ()
    return [INFERRED_NOTE, *(f"the file holds {name} fixed, as one call of the model has it" for name in fixed)]


def _sentence_notes(job: Job, onnx_config: OnnxConfig) -> list[str]:
    if job.model_type not in (SENTENCE_MODEL, SENTENCE_CLIP):
        return []
    modules = read_sentence_modules(job.folder)
    inner = onnx_config._config.model_type
    return [f"a model of sentence-transformers: the graph holds {', '.join([inner, *modules.words()])}"]


def is_inferred(job: Job) -> bool:
    """Whether the job's model type and task have no configuration class."""
    if job.model_type not in TasksManager.get_supported_model_types():
        return True
    return bool(job.options.declaration) and job.task not in TasksManager.get_supported_tasks_for_model_type(
        job.model_type
    )
