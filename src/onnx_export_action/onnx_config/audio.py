"""Models of sound: one short class per model type."""

from __future__ import annotations

from onnx_export_action.onnx_config.base import Axes, ComponentKind
from onnx_export_action.onnx_config.modalities import AudioOnnxConfig, AudioToTextOnnxConfig
from onnx_export_action.onnx_config.registry import register_onnx


@register_onnx(
    "wav2vec2",
    "feature-extraction",
    "automatic-speech-recognition",
    "audio-classification",
    "audio-frame-classification",
    "audio-xvector",
)
class Wav2Vec2OnnxConfig(AudioOnnxConfig):
    """wav2vec 2.0."""

    @property
    def inputs(self) -> Axes:
        """The samples, and their mask where the model was trained with one.

        Those whose features are normalised over a group see silence instead of a mask, says the documentation of
        ``Wav2Vec2Model``; their processors return no mask. ``Wav2Vec2ForXVector`` of transformers 5.23 goes through
        the rows of a mask in a Python loop, which would fix the batch size in the file.
        """
        inputs = super().inputs
        if self._normalized_config.get("feat_extract_norm") == "layer" and self.task != "audio-xvector":
            inputs["attention_mask"] = dict(inputs["input_values"])
        return inputs


@register_onnx(
    "whisper",
    "feature-extraction",
    "feature-extraction-with-past",
    "automatic-speech-recognition",
    "automatic-speech-recognition-with-past",
    "audio-classification",
)
class WhisperOnnxConfig(AudioToTextOnnxConfig):
    """Whisper, whose encoder takes 30 seconds of sound, no more and no less."""

    @property
    def outputs(self) -> Axes:
        """The task's outputs; features in one file are those of both the decoder and the encoder."""
        outputs = super().outputs
        if self.kind is ComponentKind.MODEL and self.task == "feature-extraction":
            outputs["encoder_last_hidden_state"] = {0: "batch_size"}
        return outputs
