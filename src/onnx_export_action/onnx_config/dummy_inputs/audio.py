"""Sounds, spectrograms and codes of sounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator
from onnx_export_action.onnx_config.normalized import NormalizedConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Mask = NDArray[np.int64]


class DummyAudioInputGenerator(DummyInputGenerator):
    """Sound, float32: ``input_values`` (batch, samples) or ``input_features`` (batch, mel bins, frames)."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("input_values", "input_features", "attention_mask")

    def supports_input(self, input_name: str) -> bool:
        """Sound, and the attention mask of a model that takes sound and no text."""
        takes_sound = "input_values" in self.input_names or "input_features" in self.input_names
        is_audio_mask = takes_sound and "input_ids" not in self.input_names
        return super().supports_input(input_name) and (input_name != "attention_mask" or is_audio_mask)

    def array(self, input_name: str) -> Array:
        """Sound that is silent where the mask, if the model takes one, is zero; the mask itself as int64."""
        length = self.shapes.nb_max_frames
        if "input_values" in self.input_names:
            length = self.shapes.audio_sequence_length
        shortest = shortest_audio(self.normalized_config, self.task)
        mask = self.padding_mask("audio", self.batch_size, length, shortest=shortest)
        if input_name == "attention_mask":
            return mask
        shape: tuple[int, ...] = (self.batch_size, length)
        if input_name == "input_features":
            shape = (self.batch_size, self.shapes.feature_size, length)
        sound = self.random_float_array(input_name, shape)
        if "attention_mask" in self.input_names:
            sound *= mask.reshape(self.batch_size, *[1] * (len(shape) - 2), length).astype(sound.dtype)
        return sound


class DummyMaskedSpeechGenerator(DummyInputGenerator):
    """Speech that is padded at its end: samples (batch, samples), or ``input_features`` (batch, frames, mel bins).

    A decoder's file takes the same mask as the encoder's, ``encoder_attention_mask``.
    """

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = (
        "input_values",
        "input_features",
        "attention_mask",
        "encoder_attention_mask",
    )

    def array(self, input_name: str) -> Array:
        """Sound as float32, silent where the mask, int64, is zero."""
        frame_size = self.normalized_config.get("input_feat_per_channel")
        length = self.shapes.audio_sequence_length if frame_size is None else self.shapes.nb_max_frames
        mask = self.padding_mask("audio", self.batch_size, length, side="right")
        if input_name.endswith("mask"):
            return mask
        if frame_size is not None:
            mask = mask[..., None].repeat(frame_size * int(self.normalized_config.get("input_channels", 1)), axis=-1)
        sound: Array = self.random_float_array(input_name, mask.shape) * mask.astype("float32")
        return sound


class DummySilentChanceGenerator(DummyInputGenerator):
    """Numbers that leave nothing to chance: noise of size zero, all of a layer kept; and a speed to speak at."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = (
        "noise_scale",
        "noise_scale_duration",
        "prenet_keep_probability",
        "speaking_rate",
    )

    def array(self, input_name: str) -> Array:
        """A number, float32."""
        import numpy as np

        if input_name == "speaking_rate":
            usual = float(self.required(input_name))
            return np.array(usual * self.random(input_name).uniform(0.5, 2), dtype=np.float32)
        return np.array(input_name == "prenet_keep_probability", dtype=np.float32)


class DummySpectrogramSoFarGenerator(DummyInputGenerator):
    """Speech as it is being made, of one speaker: frames so far, their speaker, or all frames of a whole; float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("output_sequence", "speaker_embeddings", "spectrogram")

    def array(self, input_name: str) -> Array:
        """(1, frames, mel bins), (1, size of a speaker's embedding), or for a whole (frames, mel bins)."""
        if input_name == "speaker_embeddings":
            return self.random_float_array(input_name, (1, int(self.required("speaker_embedding_dim"))))
        frames = (self.shapes.decoder_sequence_length, int(self.required("num_mel_bins")))
        return self.random_float_array(input_name, frames if input_name == "spectrogram" else (1, *frames))


class DummyCodebookGenerator(DummyInputGenerator):
    """Sound as the words of several codebooks side by side, int64: each row of a batch has one row per codebook."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("input_ids", "audio_codes", "pad_token_id", "max_length")

    def array(self, input_name: str) -> Array:
        """``input_ids`` (batch * codebooks, length), ``audio_codes`` (1, batch, codebooks, length), or a number."""
        import numpy as np

        rows, length = int(self.required("num_codebooks")), self.shapes.decoder_sequence_length
        codebooks, vocabulary = rows // int(self.required("audio_channels")), int(self.required("vocab_size"))
        if input_name == "pad_token_id":
            return np.array(vocabulary, dtype=np.int64)
        if input_name == "max_length":
            # Too few for any pattern to fit, or some more than the prompt has.
            few, enough = 2 * codebooks - 2, length + 2 * codebooks
            return np.array(self.random(input_name).choice([few, enough, enough + 1, enough + 30]), dtype=np.int64)
        if input_name == "input_ids":
            return self.random_int_array(input_name, (self.batch_size * rows, length), vocabulary)
        shape = (1, self.batch_size, codebooks, length)
        return self.random_int_array(input_name, shape, int(self.required("codebook_size")))


class DummyFramesFirstGenerator(DummyAudioInputGenerator):
    """Sound whose ``input_features`` are (batch, frames, mel bins), as Transformer encoders take them."""

    def array(self, input_name: str) -> Array:
        """As the base class does, the other way round."""
        array = super().array(input_name)
        return array.transpose(0, 2, 1).copy() if input_name == "input_features" else array


class DummyFixedSpectrogramGenerator(DummyInputGenerator):
    """Spectrograms of the model's one size: ``input_values`` (batch, ``max_length`` frames, mel bins), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("input_values",)

    def array(self, input_name: str) -> Array:
        """The spectrograms."""
        size = (int(self.required("max_length")), int(self.required("num_mel_bins")))
        return self.random_float_array(input_name, (self.batch_size, *size))


def shortest_audio(normalized_config: NormalizedConfig, task: str) -> int:
    """How many samples the model's convolutions need to answer; 1 for a model without them.

    Each layer of kernel k and stride s turns n samples into (n - k) // s + 1. The statistics of an x-vector need two
    frames of what the layers of time-delayed neurons leave over.
    """
    frames = 1
    if task == "audio-xvector":
        frames = 2 + sum(
            (kernel - 1) * dilation for kernel, dilation in _layers(normalized_config, "tdnn_kernel", "tdnn_dilation")
        )
    samples = frames
    for kernel, stride in reversed(_layers(normalized_config, "conv_kernel", "conv_stride")):
        samples = (samples - 1) * stride + kernel
    return samples


def encoded_audio_length(normalized_config: NormalizedConfig, samples: int) -> int:
    """How many frames wav2vec 2.0 and its kin make of that many samples, with their adapter if they have one.

    ``Wav2Vec2PreTrainedModel._get_feat_extract_output_lengths`` of transformers 5.23.
    """
    length = samples
    for kernel, stride in _layers(normalized_config, "conv_kernel", "conv_stride"):
        length = (length - kernel) // stride + 1
    if normalized_config.get("add_adapter"):
        for _ in range(int(normalized_config.num_adapter_layers)):
            length = (length - 1) // int(normalized_config.adapter_stride) + 1
    return length


def _layers(normalized_config: NormalizedConfig, first: str, second: str) -> list[tuple[int, int]]:
    """Two numbers per layer, from two lists of the configuration."""
    pairs = zip(normalized_config.get(first, ()), normalized_config.get(second, ()), strict=False)
    return [(int(one), int(other)) for one, other in pairs]
