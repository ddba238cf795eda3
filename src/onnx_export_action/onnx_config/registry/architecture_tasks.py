"""Which task a checkpoint is for, by the model class that its config.json names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from onnx_export_action.onnx_config.tasks import (
    PAST_SUFFIX,
)

# End of a model class's name -> the tasks it may mean; the first that the model type has. The first end that fits.
ARCHITECTURE_TASKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ForSequenceClassification", ("text-classification", "audio-classification")),
    ("ForTokenClassification", ("token-classification",)),
    ("ForQuestionAnswering", ("question-answering",)),
    ("ForMultipleChoice", ("multiple-choice",)),
    ("ForMaskedLM", ("fill-mask",)),
    ("WithLMHeadModel", ("fill-mask", "text-generation")),
    ("LMHeadModel", ("text-generation",)),
    ("ForCausalLM", ("text-generation",)),
    (
        "ForConditionalGeneration",
        ("text2text-generation", "automatic-speech-recognition", "image-to-text", "text-to-audio"),
    ),
    ("EncoderDecoderModel", ("image-to-text", "text2text-generation", "automatic-speech-recognition")),
    ("ForCTC", ("automatic-speech-recognition",)),
    ("ForAudioFrameClassification", ("audio-frame-classification",)),
    ("ForAudioClassification", ("audio-classification",)),
    ("ForXVector", ("audio-xvector",)),
    ("ForImageClassification", ("image-classification",)),
    ("ForMaskedImageModeling", ("masked-im",)),
    ("ForObjectDetection", ("object-detection", "zero-shot-object-detection")),
    ("ForSemanticSegmentation", ("semantic-segmentation", "image-segmentation")),
    ("ForPrediction", ("time-series-forecasting",)),
    ("ForRetrieval", ("feature-extraction",)),
    ("ForTextToSpeech", ("text-to-audio",)),
    ("HifiGan", ("text-to-audio",)),
    ("ForPreTraining", ("feature-extraction",)),
    # T5EncoderModel is half of what the task would load.
    ("EncoderModel", ()),
    ("Model", ("feature-extraction", "text-to-audio")),
    ("AutoencoderKL", ("feature-extraction",)),
    ("ModelWithProjection", ("feature-extraction",)),
)


def likeliest_first(tasks: tuple[str, ...], config: Mapping[str, Any]) -> list[str]:
    """Tasks that one name of an architecture may mean: with a part that sees, those about images first."""
    return sorted(tasks, key=lambda task: "vision_config" in config and not task.startswith("image"))


def tasks_of_architecture(name: str) -> tuple[str, ...]:
    """``BertForMaskedLM`` -> (``fill-mask``,)."""
    return next((tasks for end, tasks in ARCHITECTURE_TASKS if name.endswith(end)), ())


def task_of_checkpoint(config: Mapping[str, Any], tasks: Collection[str]) -> str | None:
    """The first of ``tasks`` that the ``architectures`` of config.json mean, with past where there is one of that name.

    Features alone are never inferred with past.
    """
    for name in architectures_of(config):
        for candidate in likeliest_first(tasks_of_architecture(name), config):
            for task in (candidate + PAST_SUFFIX, candidate):
                if task in tasks and not (candidate == "feature-extraction" and task != candidate):
                    return task
    return None


def architectures_of(config: Mapping[str, Any]) -> list[str]:
    """The names of model classes in config.json."""
    listed = config.get("architectures")
    return [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
