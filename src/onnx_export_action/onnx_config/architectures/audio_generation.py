"""Models that make sound of texts: one short class per model type."""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.dummy_inputs.audio import (
    DummyCodebookGenerator,
    DummySilentChanceGenerator,
    DummySpectrogramSoFarGenerator,
)
from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator
from onnx_export_action.onnx_config.dummy_inputs.cache import DummyEncoderOutputGenerator, DummyPastKeyValuesGenerator
from onnx_export_action.onnx_config.dummy_inputs.text import DummyTextInputGenerator, DummyUnmaskedTextInputGenerator
from onnx_export_action.onnx_config.encoder_decoder import OnnxSeq2SeqConfigWithPast
from onnx_export_action.onnx_config.modalities import (
    TextEncoderOnnxConfig,
    WrittenInterfaceOnnxConfig,
)
from onnx_export_action.onnx_config.normalized import (
    NormalizedConfig,
    NormalizedEncoderDecoderConfig,
    NormalizedSeq2SeqConfig,
    NormalizedTextConfig,
)
from onnx_export_action.onnx_config.outputs import Axes, alike
from onnx_export_action.onnx_config.registry import register_onnx
from onnx_export_action.onnx_config.shapes import AxesMapping, ShapeLimit
from onnx_export_action.vocabulary.errors import plan_error
from onnx_export_action.vocabulary.names.components import ComponentKind


@register_onnx("vits", "text-to-audio")
class VitsOnnxConfig(TextEncoderOnnxConfig):
    """VITS, which says a text a little differently each time; at a noise of zero, always the same way."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyTextInputGenerator, DummySilentChanceGenerator)
    HAS_ABSOLUTE_POSITIONS = False
    TRACEABLE = "audio.vits"
    CALLS = "speech"

    @property
    def inputs(self) -> Axes:
        """Token ids and their mask, and what may be set."""
        text = {0: "text_batch_size", 1: "sequence_length"}
        numbers: Axes = OrderedDict((name, {}) for name in self.optional_inputs)
        return OrderedDict(input_ids=text, attention_mask=dict(text), **numbers)

    @property
    def optional_inputs(self) -> dict[str, float]:
        """How much is left to chance, and how fast to speak, as the configuration says."""
        names = ["noise_scale", "noise_scale_duration", "speaking_rate"]
        if not self._normalized_config.use_stochastic_duration_prediction:
            names.remove("noise_scale_duration")
        return {name: float(self._normalized_config.get(name)) for name in names}

    @property
    def outputs(self) -> Axes:
        """The sound, and the spectrogram that it was made of."""
        batch = {0: "text_batch_size"}
        return OrderedDict(waveform=batch | {1: "n_samples"}, spectrogram=batch | {2: "num_frames"})


class SpeechT5PostnetOnnxConfig(WrittenInterfaceOnnxConfig):
    """The last step of SpeechT5, over the whole spectrogram."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummySpectrogramSoFarGenerator,)
    FILE_NAME = "decoder_postnet"
    TRACEABLE = "audio.speecht5"
    CALLS = "postnet"
    INPUTS: ClassVar[AxesMapping] = {"spectrogram": {0: "num_frames"}}
    OUTPUTS: ClassVar[AxesMapping] = {"postnet_spectrogram": {0: "num_frames"}}

    @classmethod
    def belongs_to(cls, normalized_config: NormalizedConfig) -> bool:
        """Where there is no vocoder."""
        return not normalized_config.has_attribute("vocoder_config")


class SpeechT5PostnetAndVocoderOnnxConfig(SpeechT5PostnetOnnxConfig):
    """The last steps of SpeechT5 where a vocoder lies beside it."""

    FILE_NAME = "decoder_postnet_and_vocoder"
    CALLS = "postnet_and_vocoder"
    OUTPUTS: ClassVar[AxesMapping] = {"waveform": {0: "n_samples"}}

    @classmethod
    def belongs_to(cls, normalized_config: NormalizedConfig) -> bool:
        """Where there is one."""
        return normalized_config.has_attribute("vocoder_config")


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
    INNER_MODELS: ClassVar[dict[str, str]] = {"vocoder": "SpeechT5HifiGan"}
    TRACEABLE = "audio.speecht5"
    CALLS = "encoder"
    DECODER_CALLS = "decoder"
    ALWAYS_WITH_PAST = True
    FURTHER_PARTS = (SpeechT5PostnetOnnxConfig, SpeechT5PostnetAndVocoderOnnxConfig)

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
        if not self.takes_past:  # the first step leaves a cache of one frame
            outputs |= {name: {} for name in outputs if ".decoder." in name}
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


class MusicgenTextEncoderOnnxConfig(WrittenInterfaceOnnxConfig):
    """The texts of Musicgen."""

    NORMALIZED_CONFIG_CLASS = NormalizedTextConfig.with_args(text_config="text_encoder")
    HAS_ABSOLUTE_POSITIONS = False
    FILE_NAME = "text_encoder"
    TRACEABLE = "audio.musicgen"
    CALLS = "text_encoder"
    DUMMY_INPUT_GENERATOR_CLASSES = (DummyTextInputGenerator,)
    INPUTS: ClassVar[AxesMapping] = alike(
        "input_ids", "attention_mask", axes={0: "batch_size", 1: "encoder_sequence_length"}
    )
    OUTPUTS: ClassVar[AxesMapping] = {"last_hidden_state": INPUTS["input_ids"]}


class MusicgenPartOnnxConfig(WrittenInterfaceOnnxConfig):
    """A part of Musicgen that reads words of its codebooks."""

    NORMALIZED_CONFIG_CLASS = NormalizedEncoderDecoderConfig.with_args(
        allow_new=True,
        codebook_size="audio_encoder.codebook_size",
        kernel_size="audio_encoder.kernel_size",
        chunk_length_s="audio_encoder.chunk_length_s",
        encoder_hidden_size="text_encoder.hidden_size",
    )
    DUMMY_INPUT_GENERATOR_CLASSES: ClassVar[tuple[type[DummyInputGenerator], ...]] = (DummyCodebookGenerator,)


class MusicgenEncodecOnnxConfig(MusicgenPartOnnxConfig):
    """The last step of Musicgen: from words to sound."""

    FILE_NAME = "encodec_decode"
    TRACEABLE = "audio.musicgen"
    CALLS = "encodec_decode"
    INPUTS: ClassVar[AxesMapping] = {"audio_codes": {1: "batch_size", 3: "chunk_length"}}
    OUTPUTS: ClassVar[AxesMapping] = {"audio_values": {0: "batch_size", 2: "audio_length"}}

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """As the base class says; a chunk is long enough to be padded with its own reflection."""
        limits = super().shape_limits()
        limits.pop("batch_size")
        kernel = int(self._normalized_config.kernel_size)
        limits["decoder_sequence_length"] = ShapeLimit(kernel, None, "the first convolution reflects as many words")
        return limits


class MusicgenDelayPatternOnnxConfig(MusicgenPartOnnxConfig):
    """The first step of Musicgen: where the words of each codebook belong, one later than those of the one before."""

    FILE_NAME = "build_delay_pattern_mask"
    TRACEABLE = "audio.musicgen"
    CALLS = "build_delay_pattern_mask"
    # The prompt, and two numbers: the word that pads, and how long the music may be.
    PROMPT: ClassVar[dict[int, str]] = {0: "batch_size_x_num_codebooks", 1: "decoder_sequence_length"}
    INPUTS: ClassVar[AxesMapping] = {"input_ids": PROMPT, "pad_token_id": {}, "max_length": {}}
    # The prompt in its place, and the pattern, with -1 where a word is to be found.
    OUTPUTS: ClassVar[AxesMapping] = {"input_ids_edited": PROMPT, "delay_pattern_mask": PROMPT | {1: "max_length"}}


@register_onnx("musicgen", "text-to-audio")
class MusicgenOnnxConfig(OnnxSeq2SeqConfigWithPast):
    """Musicgen, from text to sound; always with past."""

    TRACEABLE = "audio.musicgen"
    NORMALIZED_CONFIG_CLASS = MusicgenPartOnnxConfig.NORMALIZED_CONFIG_CLASS
    DUMMY_INPUT_GENERATOR_CLASSES = (
        DummyCodebookGenerator,
        DummyTextInputGenerator,
        DummyEncoderOutputGenerator,
        DummyPastKeyValuesGenerator,
    )
    ALWAYS_WITH_PAST = True
    HAS_ENCODER_FILE = False
    FURTHER_PARTS = (MusicgenTextEncoderOnnxConfig, MusicgenEncodecOnnxConfig, MusicgenDelayPatternOnnxConfig)

    def components(self) -> list[tuple[str, OnnxConfig]]:
        """As any encoder-decoder's.

        Raises:
            ExportError: the audio encoder works in chunks, which depend on the length of the sound.
        """
        if self._normalized_config.has_attribute("chunk_length_s"):
            raise plan_error(
                "Musicgen whose audio encoder works in chunks (chunk_length_s) cannot be exported",
                "published checkpoints have chunk_length_s null",
            )
        return super().components()

    @property
    def encoder_inputs(self) -> Axes:
        """What the text encoder takes."""
        return MusicgenTextEncoderOnnxConfig(self._config).inputs

    @property
    def decoder_inputs(self) -> Axes:
        """The words of every codebook, and what the text encoder gave."""
        inputs = super().decoder_inputs
        inputs["input_ids"] = {0: "total_batch_size_x_num_codebooks", 1: "decoder_sequence_length"}
        return inputs

    @property
    def outputs(self) -> Axes:
        """How probable each word is, for every codebook, and the cache."""
        logits = {0: "total_batch_size_x_num_codebooks", 1: "decoder_sequence_length"}
        outputs: Axes = OrderedDict(batch={0: "batch_size"})
        self.add_past_key_values(outputs, direction="outputs")
        del outputs["batch"]
        return OrderedDict(logits=logits, **outputs)
