"""Models of sound: one short class per model type."""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

from onnx_export_action.onnx_config.base import Axes, ComponentKind, OnnxConfig
from onnx_export_action.onnx_config.dummy_inputs import DummyFixedSpectrogramGenerator
from onnx_export_action.onnx_config.modalities import AudioOnnxConfig, AudioToTextOnnxConfig
from onnx_export_action.onnx_config.registry import register_onnx

SPEECH_TASKS = ("feature-extraction", "automatic-speech-recognition", "audio-classification")
SPEAKER_TASKS = ("audio-frame-classification", "audio-xvector")


@register_onnx("wav2vec2", *SPEECH_TASKS, *SPEAKER_TASKS)
class Wav2Vec2OnnxConfig(AudioOnnxConfig):
    """wav2vec 2.0."""

    # Whether every checkpoint was trained with masks, and the configuration need not say it.
    ALWAYS_MASKED: ClassVar[bool] = False

    @property
    def inputs(self) -> Axes:
        """The samples, and their mask where the model was trained with one.

        Those whose features are normalised over a group see silence instead of a mask, says the documentation of
        ``Wav2Vec2Model``; their processors return no mask. ``Wav2Vec2ForXVector`` of transformers 5.23 goes through
        the rows of a mask in a Python loop, which would fix the batch size in the file.
        """
        inputs = super().inputs
        masked = self.ALWAYS_MASKED or self._normalized_config.get("feat_extract_norm") == "layer"
        if masked and self.task != "audio-xvector":
            inputs["attention_mask"] = dict(inputs["input_values"])
        return inputs


@register_onnx("data2vec-audio", *SPEECH_TASKS, *SPEAKER_TASKS)
class Data2VecAudioOnnxConfig(Wav2Vec2OnnxConfig):
    """Data2Vec for sound."""

    ALWAYS_MASKED = True


@register_onnx("hubert", *SPEECH_TASKS)
class HubertOnnxConfig(Wav2Vec2OnnxConfig):
    """HuBERT."""


@register_onnx("sew", *SPEECH_TASKS)
class SEWOnnxConfig(Wav2Vec2OnnxConfig):
    """SEW."""


@register_onnx("sew-d", *SPEECH_TASKS)
class SEWDOnnxConfig(Wav2Vec2OnnxConfig):
    """SEW-D."""


@register_onnx("unispeech", *SPEECH_TASKS)
class UniSpeechOnnxConfig(Wav2Vec2OnnxConfig):
    """UniSpeech."""


@register_onnx("unispeech-sat", *SPEECH_TASKS, *SPEAKER_TASKS)
class UniSpeechSATOnnxConfig(Wav2Vec2OnnxConfig):
    """UniSpeech-SAT."""


@register_onnx("wav2vec2-conformer", *SPEECH_TASKS, *SPEAKER_TASKS)
class Wav2Vec2ConformerOnnxConfig(Wav2Vec2OnnxConfig):
    """wav2vec 2.0 Conformer."""


@register_onnx("wavlm", *SPEECH_TASKS, *SPEAKER_TASKS)
class WavLMOnnxConfig(Wav2Vec2OnnxConfig):
    """WavLM."""


@register_onnx("audio-spectrogram-transformer", "feature-extraction", "audio-classification")
class ASTOnnxConfig(OnnxConfig):
    """The Audio Spectrogram Transformer, whose spectrograms all have the size that the model was made for."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyFixedSpectrogramGenerator,)

    @property
    def inputs(self) -> Axes:
        """The spectrograms."""
        return OrderedDict(input_values={0: "batch_size"})


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
