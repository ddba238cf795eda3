"""Models that hear: one short class per model type."""

from __future__ import annotations

from typing import ClassVar

from onnx_export_action.onnx_config.dummy_inputs.audio import (
    DummyFixedSpectrogramGenerator,
    DummyMaskedSpeechGenerator,
)
from onnx_export_action.onnx_config.modalities import (
    AudioOnnxConfig,
    AudioToTextOnnxConfig,
    WrittenInterfaceOnnxConfig,
)
from onnx_export_action.onnx_config.outputs import Axes, alike
from onnx_export_action.onnx_config.registry import register_onnx
from onnx_export_action.onnx_config.shapes import AxesMapping, DummyShapes, ShapeLimit

SPEECH_TASKS = ("feature-extraction", "automatic-speech-recognition", "audio-classification")
TRANSCRIPTION_TASKS = (
    "feature-extraction",
    "feature-extraction-with-past",
    "automatic-speech-recognition",
    "automatic-speech-recognition-with-past",
)
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
class ASTOnnxConfig(WrittenInterfaceOnnxConfig):
    """The Audio Spectrogram Transformer, whose spectrograms all have the size that the model was made for."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyFixedSpectrogramGenerator,)
    INPUTS: ClassVar[AxesMapping] = {"input_values": {0: "batch_size"}}


@register_onnx("whisper", *TRANSCRIPTION_TASKS, "audio-classification")
class WhisperOnnxConfig(AudioToTextOnnxConfig):
    """Whisper, whose encoder takes 30 seconds of sound, no more and no less."""


@register_onnx("moonshine", *TRANSCRIPTION_TASKS)
class MoonshineOnnxConfig(AudioToTextOnnxConfig):
    """Moonshine, which reads samples; every file takes the mask of the samples."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyMaskedSpeechGenerator, *AudioToTextOnnxConfig.DUMMY_INPUT_GENERATOR_CLASSES)
    ENCODER_INPUTS: ClassVar[AxesMapping] = alike(
        "input_values", "attention_mask", axes={0: "batch_size", 1: "audio_sequence_length"}
    )
    HAS_ABSOLUTE_POSITIONS = False
    TRACEABLE = "audio.moonshine"
    DECODER_CALLS = "decoder"
    # Kernel and stride of the convolutions in ``MoonshineEncoder``.
    CONVOLUTIONS = ((127, 64), (7, 3), (3, 2))

    def encoded_length(self, shapes: DummyShapes) -> int:
        """What the convolutions leave of the samples."""
        length = shapes.audio_sequence_length
        for kernel, stride in self.CONVOLUTIONS:
            length = (length - kernel) // stride + 1
        return length

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """As the base class says; the sound is long enough for the convolutions."""
        limits = super().shape_limits()
        limits["audio_sequence_length"] = ShapeLimit(895, None, "the convolutions need as many samples")
        return limits


@register_onnx("speech_to_text", *TRANSCRIPTION_TASKS)
class Speech2TextOnnxConfig(AudioToTextOnnxConfig):
    """Speech2Text, which reads frames of a spectrogram; every file takes the mask of the frames."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyMaskedSpeechGenerator, *AudioToTextOnnxConfig.DUMMY_INPUT_GENERATOR_CLASSES)
    ENCODER_INPUTS: ClassVar[AxesMapping] = alike(
        "input_features", "attention_mask", axes={0: "batch_size", 1: "num_frames"}
    )

    @property
    def max_sequence_length(self) -> int | None:
        """The decoder's positions, which start after the padding token's id."""
        return self._positions("max_target_positions")

    def encoded_length(self, shapes: DummyShapes) -> int:
        """What the convolutions leave of the frames, each of them half."""
        return -(-shapes.nb_max_frames // self._frames_per_position)

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """As the base class says; and the encoder's positions are that many, however short the sound."""
        limits = super().shape_limits()
        positions = self._positions("max_source_positions")
        frames = positions * self._frames_per_position
        limits["nb_max_frames"] = ShapeLimit(1, frames, f"the encoder has {positions} positions")
        return limits

    def dummy_shapes(self, **requested: int) -> DummyShapes:
        """As the base class does; by default two seconds."""
        frames = self.shape_limits()["nb_max_frames"].clip(200)
        return super().dummy_shapes(**({"nb_max_frames": frames} | requested))

    @property
    def _frames_per_position(self) -> int:
        return 1 << int(self._normalized_config.num_conv_layers)

    def _positions(self, attribute: str) -> int:
        config = self._normalized_config
        return int(config.get(attribute)) + 1 - int(config.get("pad_token_id", 1))
