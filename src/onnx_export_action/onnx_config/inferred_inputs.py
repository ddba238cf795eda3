"""Ways in which models without a configuration class are called, beyond those of registered ones.

Only for inference: each is tried, and kept where the model runs with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from onnx_export_action.onnx_config.dummy_inputs import (
    ALL_GENERATORS,
    DummyInputGenerator,
    DummyTextInputGenerator,
    DummyVisionInputGenerator,
)
from onnx_export_action.onnx_config.normalized import NormalizedConfig
from onnx_export_action.onnx_config.shapes import as_height_and_width

if TYPE_CHECKING:
    from onnx_export_action.onnx_config.dummy_inputs import Array

# Rows and columns of patches of the one image that a file of such a model takes, in units that are merged to one.
GRID = (2, 3)
_USUAL_MEL_BINS = 128


@dataclass(frozen=True)
class CallForm:
    """Inputs that go together, who makes them, and arguments that are the same in every call."""

    inputs: tuple[str, ...]
    generators: tuple[type[DummyInputGenerator], ...]
    constants: Mapping[str, Any] = field(default_factory=dict)


class DummyGridPatchGenerator(DummyInputGenerator):
    """One image, cut into patches beforehand: (patches, numbers of a patch), float32, as Qwen2-VL's processor does."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("pixel_values", "hidden_states")
    FRAMES_A_PATCH: bool = True

    def array(self, input_name: str) -> Array:
        """The patches."""
        return self.random_float_array(input_name, (self._patches, *self._patch_shape()))

    @property
    def _patches(self) -> int:
        merged = merge_size(self.normalized_config)
        return GRID[0] * GRID[1] * merged**2

    def _patch_shape(self) -> tuple[int, ...]:
        channels, (height, width) = self._channels, self._patch_size
        named = self.normalized_config.get("temporal_patch_size") or self.normalized_config.get("patch_temporal")
        frames = int(named or 1) if self.FRAMES_A_PATCH else 1
        return (channels * frames * height * width,)

    @property
    def _channels(self) -> int:
        return int(self.normalized_config.get("num_channels") or 3)

    @property
    def _patch_size(self) -> tuple[int, int]:
        return as_height_and_width(self.required("patch_size"))


class DummyStillPatchGenerator(DummyGridPatchGenerator):
    """The same for models that know no films."""

    FRAMES_A_PATCH = False


class DummySquarePatchGenerator(DummyGridPatchGenerator):
    """Patches that are images still: (patches, channels, height, width)."""

    def _patch_shape(self) -> tuple[int, ...]:
        return (self._channels, *self._patch_size)


class DummySequenceOfSquarePatchesGenerator(DummySquarePatchGenerator):
    """One image's patches after each other: (1, patches, channels, height, width)."""

    def array(self, input_name: str) -> Array:
        """The patches."""
        return super().array(input_name)[None]


class DummyMergedPatchGenerator(DummyGridPatchGenerator):
    """Patches as large as those that are merged together, colours last: (merged patches, height, width, channels)."""

    @property
    def _patches(self) -> int:
        return GRID[0] * GRID[1]

    def _patch_shape(self) -> tuple[int, ...]:
        merged = merge_size(self.normalized_config)
        height, width = self._patch_size
        return (height * merged, width * merged, self._channels)


class DummyPlacedPatchGenerator(DummyInputGenerator):
    """Images in patches with their places: (batch, patches, numbers of a patch) and (batch, patches, 2)."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("pixel_values", "pixel_position_ids")

    def array(self, input_name: str) -> Array:
        """Patches as float32, places (column, row) as int64."""
        import numpy as np

        merged = merge_size(self.normalized_config)
        rows, columns = (side * merged for side in GRID)
        if input_name == "pixel_position_ids":
            places = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(1, -1, 2)
            return np.repeat(places, self.batch_size, axis=0).astype(np.int64)
        height, width = as_height_and_width(self.required("patch_size"))
        channels = int(self.normalized_config.get("num_channels") or 3)
        return self.random_float_array(input_name, (self.batch_size, rows * columns, channels * height * width))


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


class DummySoundCodeGenerator(DummyInputGenerator):
    """What a codec keeps of sound: (batch, size, length), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("hidden_states", "embeddings", "latents")

    def array(self, input_name: str) -> Array:
        """The numbers."""
        return self.random_float_array(
            input_name, (self.batch_size, int(self.required("hidden_size")), self.sequence_length)
        )


class DummyImagePairGenerator(DummyVisionInputGenerator):
    """Pairs of images to compare: (batch, 2, channels, height, width), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("pixel_values",)

    def array(self, input_name: str) -> Array:
        """The pairs."""
        shapes = self.shapes
        size = (self.batch_size, 2, shapes.num_channels, shapes.image_height, shapes.image_width)
        return self.random_float_array(input_name, size)


class DummyPromptImageGenerator(DummyInputGenerator):
    """Images, and others with masks that show what to do: (batch, channels, half of the height, width), float32.

    The model puts one above the other, to an image of its size.
    """

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("pixel_values", "prompt_pixel_values", "prompt_masks")

    def array(self, input_name: str) -> Array:
        """The images."""
        shapes = self.shapes
        size = (self.batch_size, shapes.num_channels, shapes.image_height // 2, shapes.image_width)
        return self.random_float_array(input_name, size)


class DummyRegionFeatureGenerator(DummyInputGenerator):
    """What a detector saw, and where: (batch, regions, size) and (batch, regions, 4), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("visual_feats", "visual_pos")

    def array(self, input_name: str) -> Array:
        """Features, or boxes as parts of the image's sides."""
        import numpy as np

        shape = (self.batch_size, self.shapes.visual_seq_length)
        if input_name == "visual_pos":
            return self.random(input_name).random((*shape, 4), dtype=np.float32)
        return self.random_float_array(input_name, (*shape, int(self.required("visual_feat_dim"))))


class DummyEmbeddingGenerator(DummyInputGenerator):
    """Embeddings instead of tokens, and what another part answered: (batch, length, size), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = (
        "query_embeds",
        "inputs_embeds",
        "encoder_hidden_states",
        "embeddings",
        "latents",
    )

    def array(self, input_name: str) -> Array:
        """The embeddings."""
        if input_name == "encoder_hidden_states":
            size = (self.batch_size, self.shapes.visual_seq_length, int(self.required("encoder_hidden_size")))
        else:
            size = (self.batch_size, self.sequence_length, int(self.required("hidden_size")))
        return self.random_float_array(input_name, size)


class DummyQueryPromptGenerator(DummyTextInputGenerator):
    """Texts after an image that a fixed number of queries stands for; ``qformer_input_ids`` are the text alone.

    ``image_embeds_position_mask`` (batch, length), bool, is true where the image stands.
    """

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = (
        "input_ids",
        "attention_mask",
        "qformer_input_ids",
        "qformer_attention_mask",
        "image_embeds_position_mask",
    )

    def array(self, input_name: str) -> Array:
        """Ids and masks as int64, the mask of the image as bool."""
        if input_name.startswith("qformer"):
            mask = self.padding_mask("question", self.batch_size, self.sequence_length)
            return mask if input_name.endswith("mask") else self.token_ids(mask, stream=input_name, ends=True)
        queries = int(self.normalized_config.get("num_query_tokens") or self.required("latent_query_num"))
        shape = (self.batch_size, queries + self.sequence_length)
        mask = self.padding_mask("text", *shape, shortest=queries + 1)
        if input_name == "attention_mask":
            return mask
        is_image: Array = (mask.cumsum(axis=1) <= queries) & (mask == 1)
        if input_name == "image_embeds_position_mask":
            return is_image
        ids = self.token_ids(mask, ends=True)
        if "image_embeds_position_mask" not in self.input_names:
            ids[is_image] = int(self.required("image_token_id"))
        return ids


class DummyInterleavedImageGenerator(DummyInputGenerator):
    """One image for each text: (batch, 1, channels, height, width), float32, and which of its tokens see it, int64."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("pixel_values", "image_attention_mask")

    def array(self, input_name: str) -> Array:
        """The images; or a mask (batch, length, 1), in which every other token sees its image."""
        import numpy as np

        if input_name == "image_attention_mask":
            sees = np.arange(self.sequence_length, dtype=np.int64) % 2
            return np.tile(sees[None, :, None], (self.batch_size, 1, 1))
        shapes = self.shapes
        size = (self.batch_size, 1, shapes.num_channels, shapes.image_height, shapes.image_width)
        return self.random_float_array(input_name, size)


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
        mask = self.padding_mask("audio", self.batch_size, self.shapes.nb_max_frames, shortest=64, side="right")
        if input_name.endswith("mask"):
            is_sound: Array = mask == (0 if input_name == "audio_mel_mask" else 1)
            return is_sound
        stacked = int(self.normalized_config.get("num_stacked_frames") or self.STACKED)
        bins = int(self.normalized_config.get("num_mel_bins") or _USUAL_MEL_BINS) * stacked
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


def merge_size(normalized_config: NormalizedConfig) -> int:
    """How many patches of each side become one later on."""
    for name in ("spatial_merge_size", "merge_size", "merge_kernel_size", "downsample_factor", "pooling_kernel_size"):
        size = normalized_config.get(name)
        if size:
            return as_height_and_width(size)[0]
    return 2


def call_forms(normalized_config: NormalizedConfig) -> list[CallForm]:
    """All forms that a model with this configuration may be called in."""
    merged = merge_size(normalized_config)
    rows, columns = (side * merged for side in GRID)
    patch_layouts = (
        DummyGridPatchGenerator,
        DummyStillPatchGenerator,
        DummySquarePatchGenerator,
        DummySequenceOfSquarePatchesGenerator,
        DummyMergedPatchGenerator,
    )
    forms = [
        CallForm((name,), (layout,), constants)
        for constants in (
            {"grid_thw": [[1, rows, columns]]},
            {"image_grid_thw": [[1, rows, columns]]},
            {"grid_thw": [[1, rows, columns]], "merge_sizes": [merged]},
            {"target_sizes": [[rows, columns]]},
            {"tgt_sizes": [[rows, columns]]},
        )
        for name in ("pixel_values", "hidden_states")
        for layout in patch_layouts
    ]
    masked = {"pixel_attention_mask": [[1] * rows * columns] * 2, "spatial_shapes": [[rows, columns]] * 2}
    text = ("input_ids", "attention_mask")
    asked = (*text, "qformer_input_ids", "qformer_attention_mask", "pixel_values")
    return [
        *forms,
        CallForm(("pixel_values",), (DummyPlacedPatchGenerator,), masked),
        CallForm(("pixel_values", "pixel_position_ids"), (DummyPlacedPatchGenerator,)),
        CallForm(("pixel_values", "prompt_pixel_values", "prompt_masks"), (DummyPromptImageGenerator,)),
        CallForm((*text, "visual_feats", "visual_pos"), (DummyRegionFeatureGenerator, *ALL_GENERATORS)),
        CallForm(("query_embeds", "encoder_hidden_states"), (DummyEmbeddingGenerator,)),
        CallForm(("query_embeds",), (DummyEmbeddingGenerator,)),
        CallForm(asked, (DummyQueryPromptGenerator, DummyVisionInputGenerator)),
        CallForm(
            (*text, "pixel_values", "image_embeds_position_mask"),
            (DummyQueryPromptGenerator, DummyVisionInputGenerator),
        ),
        CallForm((*text, "pixel_values", "image_attention_mask"), (DummyInterleavedImageGenerator, *ALL_GENERATORS)),
        *(
            CallForm((subject, mask), (layout,))
            for subject in ("input_features", "audio_mel")
            for mask in ("input_features_mask", "attention_mask", "audio_mel_mask")
            for layout in (DummyMaskedSoundGenerator, DummyMelsFirstMaskedSoundGenerator, DummyStackedSoundGenerator)
        ),
        CallForm((*text, "input_features"), (DummySpectrogramImageGenerator, *ALL_GENERATORS)),
        CallForm(("input_values",), (DummyMonoSoundGenerator,)),
        CallForm(("hidden_states",), (DummyMonoSoundGenerator,)),
        CallForm(("hidden_states",), (DummySoundCodeGenerator,)),
        *(
            CallForm((name,), (layout,))
            for name in ("embeddings", "latents")
            for layout in (DummySoundCodeGenerator, DummyEmbeddingGenerator)
        ),
        CallForm(("pixel_values",), (DummyImagePairGenerator,)),
        CallForm(DummyLaggedSeriesGenerator.SUPPORTED_INPUT_NAMES, (DummyLaggedSeriesGenerator,)),
        CallForm(("past_values",), (DummySeriesGenerator,)),
        CallForm(("inputs_embeds", "attention_mask"), (DummyEmbeddingGenerator, *ALL_GENERATORS)),
        CallForm(("inputs_embeds",), (DummyEmbeddingGenerator,)),
    ]
