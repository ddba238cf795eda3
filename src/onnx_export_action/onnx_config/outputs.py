"""The outputs of each task, and which of their axes follow an axis of an input."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from onnx_export_action.onnx_config.shapes import (
    AxesMapping,
)

Axes = OrderedDict[str, dict[int, str]]

# Task -> its outputs and which of their axes follow an axis of an input, in the words of AXIS_SOURCES.
TASK_OUTPUTS: dict[str, AxesMapping] = {
    "audio-classification": {"logits": {0: "batch_size"}},
    "audio-frame-classification": {"logits": {0: "batch_size", 1: "sequence_length"}},
    "audio-xvector": {"logits": {0: "batch_size"}, "embeddings": {0: "batch_size"}},
    "automatic-speech-recognition": {"logits": {0: "batch_size", 1: "sequence_length"}},
    "depth-estimation": {"predicted_depth": {0: "batch_size", 1: "output_height", 2: "output_width"}},
    "feature-extraction": {"last_hidden_state": {0: "batch_size", 1: "sequence_length"}},
    "fill-mask": {"logits": {0: "batch_size", 1: "sequence_length"}},
    "image-classification": {"logits": {0: "batch_size"}},
    "image-segmentation": {"logits": {0: "batch_size", 2: "output_height", 3: "output_width"}},
    "image-to-image": {"reconstruction": {0: "batch_size", 2: "output_height", 3: "output_width"}},
    "image-to-text": {"logits": {0: "batch_size", 1: "sequence_length"}},
    "keypoint-detection": {"heatmaps": {0: "batch_size"}},
    "masked-im": {"reconstruction": {0: "batch_size"}},
    "multiple-choice": {"logits": {0: "batch_size", 1: "num_choices"}},
    "object-detection": {"logits": {0: "batch_size"}, "pred_boxes": {0: "batch_size"}},
    "question-answering": {
        "start_logits": {0: "batch_size", 1: "sequence_length"},
        "end_logits": {0: "batch_size", 1: "sequence_length"},
    },
    "semantic-segmentation": {"logits": {0: "batch_size", 2: "output_height", 3: "output_width"}},
    "text-classification": {"logits": {0: "batch_size"}},
    "text-generation": {"logits": {0: "batch_size", 1: "sequence_length"}},
    "text2text-generation": {"logits": {0: "batch_size", 1: "sequence_length"}},
    "time-series-forecasting": {"prediction_outputs": {0: "batch_size"}},
    "token-classification": {"logits": {0: "batch_size", 1: "sequence_length"}},
    "zero-shot-image-classification": {
        "logits_per_image": {0: "image_batch_size", 1: "text_batch_size"},
        "logits_per_text": {0: "text_batch_size", 1: "image_batch_size"},
        "text_embeds": {0: "text_batch_size"},
        "image_embeds": {0: "image_batch_size"},
    },
    "zero-shot-object-detection": {
        "logits": {0: "image_batch_size", 2: "num_queries"},
        "pred_boxes": {0: "image_batch_size"},
        "text_embeds": {0: "image_batch_size", 1: "num_queries"},
        "image_embeds": {0: "image_batch_size"},
    },
}

# The axis of an input that gives an output's axis its size and its name; the first that the file has.
AXIS_SOURCES: dict[str, tuple[tuple[str, int], ...]] = {
    "num_choices": (("input_ids", 1),),
    "sequence_length": (("decoder_input_ids", 1), ("input_ids", 1)),
    "text_batch_size": (("input_ids", 0),),
    "image_batch_size": (("pixel_values", 0),),
}

# Axes of outputs that the model computes from an axis of an input: they vary with it under a name of their own.
COMPUTED_AXES: dict[str, tuple[str, int]] = {
    "feature_height": ("pixel_values", 2),
    "feature_width": ("pixel_values", 3),
    "num_patches": ("pixel_values", 2),
    "num_queries": ("input_ids", 0),
    "output_height": ("pixel_values", 2),
    "output_width": ("pixel_values", 3),
}


def alike(*names: str, axes: Mapping[int, str]) -> AxesMapping:
    """Several inputs or outputs with the same axes that vary."""
    return {name: dict(axes) for name in names}


def axes_in_use(axes: Mapping[int, str], inputs: AxesMapping) -> dict[int, str]:
    """The axes of an output that can vary because the input axis they follow can, under the name used there."""
    names = {axis: name_in_use(word, inputs) for axis, word in axes.items()}
    return {axis: name for axis, name in names.items() if name is not None}


def name_in_use(word: str, inputs: AxesMapping) -> str | None:
    """What the inputs call the axis that a word of `TASK_OUTPUTS` means; None where none of theirs varies."""
    if word in COMPUTED_AXES:
        source, axis = COMPUTED_AXES[word]
        return word if axis in inputs.get(source, {}) else None
    if word == "batch_size":
        return first_axes(inputs).get(0)
    return next((inputs[name].get(axis) for name, axis in AXIS_SOURCES[word] if name in inputs), None)


def batch_axis(so_far: AxesMapping) -> dict[int, str]:
    """The batch axis as the mapping's first entry has it, so that one file names it one way."""
    first = first_axes(so_far) if so_far else {0: "batch_size"}
    return {0: first[0]} if 0 in first else {}


def first_axes(axes: AxesMapping) -> Mapping[int, str]:
    """The axes of the first input or output; empty where there is none."""
    return next(iter(axes.values()), {})
