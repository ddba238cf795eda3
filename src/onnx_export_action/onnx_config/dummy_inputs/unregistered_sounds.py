"""Sounds and series in the forms of models that have no configuration class."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from onnx_export_action.onnx_config.dummy_inputs.base import (
    DummyInputGenerator,
)

if TYPE_CHECKING:
    from onnx_export_action.onnx_config.dummy_inputs.base import Array


_USUAL_MEL_BINS = 128


class DummySpectrogramImageGenerator(DummyInputGenerator):
    """Spectrograms that are looked at like images: (batch, 1, frames, mel bins), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("input_features",)

    def array(self, input_name: str) -> Array:
        """The spectrograms, of as many frames as fit in a square picture cut into strips of all mel bins."""
        side, bins = int(self.required("spec_size")), int(self.required("num_mel_bins"))
        return self.random_float_array(input_name, (self.batch_size, 1, side * (side // bins), bins))


class DummyMonoSoundGenerator(DummyInputGenerator):
    """Sound of one channel: (batch, 1, samples), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("input_values", "hidden_states")

    def array(self, input_name: str) -> Array:
        """The samples."""
        return self.random_float_array(input_name, (self.batch_size, 1, self.shapes.audio_sequence_length))


class DummyWholePatchSoundGenerator(DummyInputGenerator):
    """Sound of as many samples as fill the model's patches: (batch, samples), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("input_values",)

    def array(self, input_name: str) -> Array:
        """The samples."""
        patch = math.prod(self.required("patch_sizes"))
        length = -(-self.shapes.audio_sequence_length // patch) * patch
        return self.random_float_array(input_name, (self.batch_size, length))


class DummySoundAndFeaturesGenerator(DummyInputGenerator):
    """Sound (batch, 1, samples), and for each of a codec's frames the features of its meaning, float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("input_values", "input_features")

    def array(self, input_name: str) -> Array:
        """Samples of whole frames, or features (batch, frames, size)."""
        frame = math.prod(self.required("downsampling_ratios"))
        frames = -(-self.shapes.audio_sequence_length // frame)
        if input_name == "input_values":
            return self.random_float_array(input_name, (self.batch_size, 1, frames * frame))
        semantic = self.required("semantic_model_config")
        return self.random_float_array(
            input_name, (self.batch_size, frames, int(semantic.feature_projection_input_dim))
        )


class DummySpokenTextGenerator(DummyInputGenerator):
    """Spectrograms (batch, mel bins, frames), float32, and a token for every so many frames (batch, length), int64."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("input_features", "input_ids")

    def array(self, input_name: str) -> Array:
        """Frames of whole tokens, or the tokens."""
        frames = int(self.required("audio_length_per_tok"))
        length = -(-self.shapes.nb_max_frames // frames)
        if input_name == "input_ids":
            return self.random_int_array(input_name, (self.batch_size, length), int(self.required("vocab_size")))
        return self.random_float_array(input_name, (self.batch_size, self.shapes.feature_size, length * frames))


class DummyNoisySpectrogramGenerator(DummyInputGenerator):
    """Spectrograms, frames first, with the noise that becomes sound: (batch, frames, size), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("input_features", "noise_sequence")

    def array(self, input_name: str) -> Array:
        """The spectrograms, or the noise."""
        size = "num_mel_bins" if input_name == "input_features" else "model_in_channels"
        return self.random_float_array(
            input_name, (self.batch_size, self.shapes.nb_max_frames, int(self.required(size)))
        )


class DummySoundCodeGenerator(DummyInputGenerator):
    """What a codec keeps of sound: (batch, size, length), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("hidden_states", "embeddings", "latents")

    def array(self, input_name: str) -> Array:
        """The numbers."""
        return self.random_float_array(
            input_name, (self.batch_size, int(self.required("hidden_size")), self.sequence_length)
        )


class DummyMaskedSoundGenerator(DummyInputGenerator):
    """Spectrograms, frames first, with the mask under a name of its own: (batch, frames)."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = (
        "input_features",
        "input_features_mask",
        "attention_mask",
        "audio_mel",
        "audio_mel_mask",
    )
    STACKED = 1

    def array(self, input_name: str) -> Array:
        """Features as float32, masks as bool: true where there is sound, the other way round for ``audio_mel_mask``."""
        # Some processors pad to whole windows.
        window = 2 * int(self.normalized_config.get("n_window") or 0) or 1
        length = -(-self.shapes.nb_max_frames // window) * window
        mask = self.padding_mask("audio", self.batch_size, length, shortest=64, side="right")
        if input_name.endswith("mask"):
            is_sound: Array = mask == (0 if input_name == "audio_mel_mask" else 1)
            return is_sound
        config = self.normalized_config
        stacked = int(config.get("num_stacked_frames") or self.STACKED)
        bins = (
            int(config.get("num_mel_bins") or config.get("feature_projection_input_dim") or _USUAL_MEL_BINS) * stacked
        )
        features: Array = self.random_float_array(input_name, (*mask.shape, bins)) * mask[..., None].astype("float32")
        return features


class DummyStackedSoundGenerator(DummyMaskedSoundGenerator):
    """The same of frames that are stacked by four, as Granite Speech's processor does."""

    STACKED = 4


class DummyMelsFirstMaskedSoundGenerator(DummyMaskedSoundGenerator):
    """The same, mel bins first."""

    def array(self, input_name: str) -> Array:
        """One of the inputs."""
        array = super().array(input_name)
        return array if input_name.endswith("mask") else array.transpose(0, 2, 1).copy()


class DummySeriesGenerator(DummyInputGenerator):
    """One number at each time: ``past_values`` (batch, times), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("past_values",)

    def array(self, input_name: str) -> Array:
        """The values."""
        length = int(self.normalized_config.get("context_length") or 32)
        return self.random_float_array(input_name, (self.batch_size, length))


class DummyLaggedSeriesGenerator(DummyInputGenerator):
    """What was measured with the time of each measurement, and what is to be told: (batch, times(, features)), float32.

    The past is as long as the model looks back at once and behind the first of its lags.
    """

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = (
        "past_values",
        "past_time_features",
        "past_observed_mask",
        "future_values",
        "future_time_features",
    )

    def array(self, input_name: str) -> Array:
        """Values and features of the time; the mask of what was measured is all ones, float32."""
        import numpy as np

        length = int(self.required("context_length")) + max(self.required("lags_sequence"))
        if input_name.startswith("future"):
            length = int(self.required("prediction_length"))
        if input_name == "past_observed_mask":
            return np.ones((self.batch_size, length), dtype=np.float32)
        if input_name.endswith("features"):
            return self.random_float_array(
                input_name, (self.batch_size, length, int(self.required("num_time_features")))
            )
        return self.random_float_array(input_name, (self.batch_size, length))
