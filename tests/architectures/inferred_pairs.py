"""Model types without a configuration class: one task for each that transformers can load for it."""

from __future__ import annotations

from tests.architectures.expected import Pair

# What a type is for, before what most types have.
PREFERRED = (
    "text2text-generation",
    "text-generation",
    "fill-mask",
    "image-classification",
    "object-detection",
    "semantic-segmentation",
    "image-segmentation",
    "depth-estimation",
    "keypoint-detection",
    "zero-shot-image-classification",
    "zero-shot-object-detection",
    "automatic-speech-recognition",
    "audio-classification",
    "text-to-audio",
    "time-series-forecasting",
    "image-to-text",
    "visual-question-answering",
    "feature-extraction",
)


def inferred_pairs(*, only: list[str] | None = None) -> list[Pair]:
    """A pair for every model type, of those in ``only``, that is not registered and that an auto class loads."""
    from transformers import CONFIG_MAPPING

    from onnx_export_action.onnx_config import TasksManager

    registered = set(TasksManager.get_supported_model_types())
    pairs = ((name, task_of(name)) for name in sorted(only or CONFIG_MAPPING) if name not in registered)
    return [Pair(name, task) for name, task in pairs if task is not None]


def task_of(model_type: str) -> str | None:
    """The first task that an auto class loads, None for what is only ever a part of other models."""
    from onnx_export_action.onnx_config import TasksManager
    from onnx_export_action.vocabulary.errors import ExportError

    for task in PREFERRED:
        try:
            TasksManager.get_model_class_for_task(task, model_type=model_type)
        except ExportError:
            continue
        return task
    return None
