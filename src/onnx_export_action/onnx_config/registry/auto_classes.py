"""The class of transformers that loads a model for a task."""

from __future__ import annotations

from typing import Any

from onnx_export_action.onnx_config.tasks import (
    AUTO_CLASSES,
    parse_task,
)
from onnx_export_action.vocabulary.errors import plan_error

# Model type and task -> the class that does it, where transformers 5.23 lists it under no auto class.
CLASSES_WITHOUT_AUTO_CLASS: dict[tuple[str, str], str] = {
    ("clip-text-with-projection", "feature-extraction"): "CLIPTextModelWithProjection",
    ("colpali", "feature-extraction"): "ColPaliForRetrieval",
    ("conditional_detr", "image-segmentation"): "ConditionalDetrForSegmentation",
    ("flaubert", "text-generation"): "FlaubertWithLMHeadModel",
    ("patchtsmixer", "time-series-forecasting"): "PatchTSMixerForPrediction",
    ("patchtst", "time-series-forecasting"): "PatchTSTForPrediction",
    ("speecht5_hifigan", "text-to-audio"): "SpeechT5HifiGan",
    ("trocr", "feature-extraction"): "TrOCRForCausalLM",
}


def _loads(auto_class: Any, model_type: str) -> bool:
    """Whether an auto class of transformers knows the model type."""
    return model_type in auto_class._model_mapping._model_mapping


def model_class_for_task(task: str, model_type: str | None) -> Any:
    """The auto class that loads the task, and of several the one that knows the model type; imports transformers.

    Raises:
        ExportError: there is no such task, or no class of transformers loads it for this model type.
    """
    import transformers

    stem, _ = parse_task(task)
    names = AUTO_CLASSES[stem]
    own_class = CLASSES_WITHOUT_AUTO_CLASS.get((model_type or "", stem))
    if own_class is not None:
        return getattr(transformers, own_class)
    if model_type is None:
        return getattr(transformers, names[0])
    for auto_class in (getattr(transformers, name, None) for name in names):
        if auto_class is not None and _loads(auto_class, model_type):
            return auto_class
    raise plan_error(
        f"transformers {transformers.__version__} has no {names[0]} for model type {model_type!r}",
        f"choose another task than {task!r}",
    )
