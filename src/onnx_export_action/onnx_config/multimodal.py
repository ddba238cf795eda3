"""Models of text and images: one short class per model type."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from onnx_export_action.onnx_config.base import TASK_OUTPUTS, Axes, OnnxConfig, OnnxSeq2SeqConfigWithPast
from onnx_export_action.onnx_config.dummy_inputs import (
    DummyDecoderTextInputGenerator,
    DummyEncoderOutputGenerator,
    DummyPastKeyValuesGenerator,
    DummyTextInputGenerator,
    DummyVisionInputGenerator,
)
from onnx_export_action.onnx_config.modalities import TextAndVisionOnnxConfig, VisionOnnxConfig
from onnx_export_action.onnx_config.normalized import NormalizedEncoderDecoderConfig
from onnx_export_action.onnx_config.registry import TasksManager, register_onnx


class DummyClipTextInputGenerator(DummyTextInputGenerator):
    """Texts that end where CLIP looks for the end."""

    def end_token(self) -> int | None:
        """The highest id for the checkpoints whose configuration wrongly says 2, as ``CLIPTextModel`` reads them."""
        if self.normalized_config.get("eos_token_id") == 2:  # noqa: PLR2004 - the wrong id
            return int(self.required("vocab_size")) - 1
        return super().end_token()


@register_onnx("clip", "feature-extraction", "zero-shot-image-classification", "image-classification")
class CLIPOnnxConfig(TextAndVisionOnnxConfig):
    """CLIP: any number of texts against any number of images."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyClipTextInputGenerator, DummyVisionInputGenerator)
    EXTRA_SHAPE_ARGUMENTS = ("text_batch_size", "image_batch_size")

    @property
    def inputs(self) -> Axes:
        """The texts and the images; images alone to classify them."""
        if self.task == "image-classification":
            return OrderedDict(pixel_values={0: "batch_size"})
        text = {0: "text_batch_size", 1: "sequence_length"}
        return OrderedDict(input_ids=dict(text), pixel_values={0: "image_batch_size"}, attention_mask=dict(text))

    @property
    def outputs(self) -> Axes:
        """The similarities and the embeddings, or the classes."""
        if self.task == "image-classification":
            return super().outputs
        axes = TASK_OUTPUTS["zero-shot-image-classification"]
        return OrderedDict((name, self._axes_in_use(axes[name])) for name in axes)


@register_onnx("vision-encoder-decoder", "image-to-text", "image-to-text-with-past")
class VisionEncoderDecoderOnnxConfig(OnnxSeq2SeqConfigWithPast):
    """Any encoder of images with any decoder of text; what each takes is what its own model type takes."""

    NORMALIZED_CONFIG_CLASS = NormalizedEncoderDecoderConfig
    DUMMY_INPUT_GENERATOR_CLASSES = (
        DummyVisionInputGenerator,
        DummyTextInputGenerator,
        DummyDecoderTextInputGenerator,
        DummyEncoderOutputGenerator,
        DummyPastKeyValuesGenerator,
    )

    @property
    def encoder_inputs(self) -> Axes:
        """What the encoder's model type takes."""
        return OrderedDict((name, dict(axes)) for name, axes in self._encoder_onnx_config.inputs.items())

    @property
    def encoder_outputs(self) -> Axes:
        """What the encoder's model type gives."""
        return self._encoder_onnx_config.outputs

    @property
    def max_sequence_length(self) -> int | None:
        """How many positions the decoder has."""
        decoder = _registered(self._config.decoder)
        return super().max_sequence_length if decoder is None else decoder.max_sequence_length

    @property
    def _encoder_onnx_config(self) -> OnnxConfig:
        encoder = self._config.encoder
        return _registered(encoder) or VisionOnnxConfig(encoder)


def _registered(config: Any) -> OnnxConfig | None:
    """The configuration of a part, None where its model type is not registered for features."""
    if config.model_type not in TasksManager.get_supported_model_types():
        return None
    constructor = TasksManager.get_supported_tasks_for_model_type(config.model_type).get("feature-extraction")
    return None if constructor is None else constructor(config)
