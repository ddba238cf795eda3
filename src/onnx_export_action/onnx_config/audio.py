"""Models of sound: one short class per model type."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, ClassVar

from onnx_export_action.onnx_config.base import Axes, ComponentKind, OnnxConfig, OnnxSeq2SeqConfigWithPast
from onnx_export_action.onnx_config.dummy_inputs import (
    DummyEncoderOutputGenerator,
    DummyFixedSpectrogramGenerator,
    DummyMaskedSpeechGenerator,
    DummyPastKeyValuesGenerator,
    DummySilentChanceGenerator,
    DummySpectrogramSoFarGenerator,
    DummyTextInputGenerator,
    DummyUnmaskedTextInputGenerator,
)
from onnx_export_action.onnx_config.modalities import AudioOnnxConfig, AudioToTextOnnxConfig, TextEncoderOnnxConfig
from onnx_export_action.onnx_config.normalized import NormalizedConfig, NormalizedSeq2SeqConfig
from onnx_export_action.onnx_config.registry import register_onnx
from onnx_export_action.onnx_config.shapes import DummyShapes, ShapeLimit

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
class ASTOnnxConfig(OnnxConfig):
    """The Audio Spectrogram Transformer, whose spectrograms all have the size that the model was made for."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyFixedSpectrogramGenerator,)

    @property
    def inputs(self) -> Axes:
        """The spectrograms."""
        return OrderedDict(input_values={0: "batch_size"})


@register_onnx("whisper", *TRANSCRIPTION_TASKS, "audio-classification")
class WhisperOnnxConfig(AudioToTextOnnxConfig):
    """Whisper, whose encoder takes 30 seconds of sound, no more and no less."""


@register_onnx("moonshine", *TRANSCRIPTION_TASKS)
class MoonshineOnnxConfig(AudioToTextOnnxConfig):
    """Moonshine, which reads samples; every file takes the mask of the samples."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyMaskedSpeechGenerator, *AudioToTextOnnxConfig.DUMMY_INPUT_GENERATOR_CLASSES)
    HAS_ABSOLUTE_POSITIONS = False
    DECODER_CALLS = "moonshine_decoder"
    # Kernel and stride of the convolutions in ``MoonshineEncoder``.
    CONVOLUTIONS = ((127, 64), (7, 3), (3, 2))

    @property
    def encoder_inputs(self) -> Axes:
        """The samples and their mask."""
        axes = {0: "batch_size", 1: "audio_sequence_length"}
        return OrderedDict(input_values=axes, attention_mask=dict(axes))

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

    @property
    def encoder_inputs(self) -> Axes:
        """The frames and their mask."""
        axes = {0: "batch_size", 1: "num_frames"}
        return OrderedDict(input_features=axes, attention_mask=dict(axes))

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


@register_onnx("vits", "text-to-audio")
class VitsOnnxConfig(TextEncoderOnnxConfig):
    """VITS, which says a text a little differently each time; at a noise of zero, always the same way."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyTextInputGenerator, DummySilentChanceGenerator)
    HAS_ABSOLUTE_POSITIONS = False
    CALLS = "vits"

    @property
    def inputs(self) -> Axes:
        """Token ids and their mask, and what may be set."""
        text = {0: "text_batch_size", 1: "sequence_length"}
        numbers: Axes = OrderedDict((name, {}) for name in self.optional_inputs)
        return OrderedDict(input_ids=text, attention_mask=dict(text), **numbers)

    @property
    def optional_inputs(self) -> dict[str, float]:
        """How much is left to chance, and how fast to speak, as the configuration says."""
        names = ("noise_scale", "noise_scale_duration", "speaking_rate")
        return {name: float(self._normalized_config.get(name)) for name in names}

    @property
    def outputs(self) -> Axes:
        """The sound, and the spectrogram that it was made of."""
        batch = {0: "text_batch_size"}
        return OrderedDict(waveform=batch | {1: "n_samples"}, spectrogram=batch | {2: "num_frames"})


class SpeechT5PostnetOnnxConfig(OnnxConfig):
    """The last step of SpeechT5, over the whole spectrogram."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummySpectrogramSoFarGenerator,)
    FILE_NAME = "decoder_postnet"
    CALLS = "speecht5_postnet"

    @property
    def inputs(self) -> Axes:
        """The frames."""
        return OrderedDict(spectrogram={0: "num_frames"})

    @property
    def outputs(self) -> Axes:
        """The frames, for a vocoder."""
        return OrderedDict(postnet_spectrogram={0: "num_frames"})


class SpeechT5PostnetAndVocoderOnnxConfig(SpeechT5PostnetOnnxConfig):
    """The last steps of SpeechT5 where a vocoder lies beside it."""

    FILE_NAME = "decoder_postnet_and_vocoder"
    CALLS = "speecht5_postnet_and_vocoder"

    @property
    def outputs(self) -> Axes:
        """The sound."""
        return OrderedDict(waveform={0: "n_samples"})


@register_onnx("speecht5_hifigan", "text-to-audio")
class SpeechT5HifiGanOnnxConfig(SpeechT5PostnetAndVocoderOnnxConfig):
    """The vocoder of SpeechT5 alone."""

    NORMALIZED_CONFIG_CLASS = NormalizedConfig.with_args(allow_new=True, num_mel_bins="model_in_dim")
    FILE_NAME = CALLS = ""


@register_onnx("speecht5", "text-to-audio")
class SpeechT5OnnxConfig(OnnxSeq2SeqConfigWithPast):
    """SpeechT5, which says one text at a time, a frame or more a step; always with past."""

    NORMALIZED_CONFIG_CLASS = NormalizedSeq2SeqConfig
    DUMMY_INPUT_GENERATOR_CLASSES = (
        DummySpectrogramSoFarGenerator,
        DummySilentChanceGenerator,
        DummyUnmaskedTextInputGenerator,
        DummyEncoderOutputGenerator,
        DummyPastKeyValuesGenerator,
    )
    CALLS = "speecht5_encoder"
    DECODER_CALLS = "speecht5_decoder"

    def __init__(self, config: Any, task: str = "text-to-audio", **arguments: Any) -> None:
        super().__init__(config, task=task, **arguments | {"use_past": True})

    def components(self) -> list[tuple[str, OnnxConfig]]:
        """As any encoder-decoder's, then the last step, with the vocoder if there is one."""
        has_vocoder = self._normalized_config.has_attribute("vocoder_config")
        last = SpeechT5PostnetAndVocoderOnnxConfig if has_vocoder else SpeechT5PostnetOnnxConfig
        return [*super().components(), (last.FILE_NAME, last(self._config, task=self.task))]

    @property
    def encoder_inputs(self) -> Axes:
        """One text."""
        return OrderedDict(input_ids={1: "encoder_sequence_length"})

    @property
    def encoder_outputs(self) -> Axes:
        """Its features, and which of them are padding's."""
        axes = {1: "encoder_sequence_length"}
        return OrderedDict(encoder_outputs=axes, encoder_attention_mask=dict(axes))

    @property
    def decoder_inputs(self) -> Axes:
        """All frames so far, their speaker, and what the encoder gave."""
        encoded = {1: "encoder_sequence_length"}
        inputs: Axes = OrderedDict(output_sequence={1: "decoder_sequence_length"}, speaker_embeddings={})
        if not self.takes_past:
            inputs["encoder_hidden_states"] = dict(encoded)
        inputs["encoder_attention_mask"] = encoded
        if self.takes_past:
            self.add_past_key_values(inputs, direction="inputs")
        inputs["prenet_keep_probability"] = {}
        return inputs

    @property
    def optional_inputs(self) -> dict[str, float]:
        """How probable it is that the prenet keeps a value: by transformers 5.23 as probable as that it drops one."""
        if self.kind is ComponentKind.ENCODER:
            return {}
        return {"prenet_keep_probability": float(self._normalized_config.speech_decoder_prenet_dropout)}

    @property
    def outputs(self) -> Axes:
        """All frames with the new one, the new frames, whether to stop, and the cache, which grows by one."""
        if self.kind is ComponentKind.ENCODER:
            return self.encoder_outputs
        outputs: Axes = OrderedDict(output_sequence_out={1: "decoder_sequence_length + 1"}, spectrum={}, prob={})
        self.add_past_key_values(outputs, direction="outputs")
        return outputs

    def _cache_words(self, direction: str, past: str, new: str) -> tuple[str, str]:
        prefix, _ = super()._cache_words(direction, past, new)
        return prefix, past if direction == "inputs" else f"{past} + 1"

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """As the base class says; the text and the speech have positions of their own."""
        limits = super().shape_limits()
        config = self._normalized_config
        texts, frames = int(config.max_text_positions), int(config.max_speech_positions)
        if self.kind is ComponentKind.ENCODER:
            limits["encoder_sequence_length"] = ShapeLimit(1, texts, f"the encoder has {texts} positions")
        limits["decoder_sequence_length"] = ShapeLimit(1, frames, f"the decoder has {frames} positions")
        return limits
