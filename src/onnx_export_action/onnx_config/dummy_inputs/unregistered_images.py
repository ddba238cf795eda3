"""Images, prompts and robots in the forms of models that have no configuration class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator
from onnx_export_action.onnx_config.dummy_inputs.text import DummyTextInputGenerator
from onnx_export_action.onnx_config.dummy_inputs.vision import DummyVisionInputGenerator
from onnx_export_action.onnx_config.normalized import NormalizedConfig
from onnx_export_action.onnx_config.shapes import as_height_and_width

if TYPE_CHECKING:
    from onnx_export_action.onnx_config.dummy_inputs.base import Array


# Rows and columns of patches of the one image that a file of such a model takes, in units that are merged to one.
GRID = (2, 3)


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


class DummyDenoisingGenerator(DummyInputGenerator):
    """What is denoised, (batch, block, size), and what it follows on, (batch, length, size of all layers); float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("noise_embeds", "context_hidden_states", "attention_mask")

    def array(self, input_name: str) -> Array:
        """The embeddings, the hidden states of the layers that are looked at, or the mask of both, int64."""
        size, block = int(self.required("hidden_size")), int(self.required("block_size"))
        if input_name == "attention_mask":
            return self.padding_mask(
                "text", self.batch_size, block, past=self.sequence_length, shortest=block, side="left"
            )
        if input_name == "noise_embeds":
            return self.random_float_array(input_name, (self.batch_size, block, size))
        layers = len(self.required("target_layer_ids"))
        return self.random_float_array(input_name, (self.batch_size, self.sequence_length, size * layers))


class DummyTaskTextGenerator(DummyInputGenerator):
    """What is asked of an image, as tokens of one length: (batch, length), int64."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("task_inputs",)

    def array(self, input_name: str) -> Array:
        """The tokens."""
        shape = (self.batch_size, int(self.required("task_seq_len")))
        return self.random_int_array(input_name, shape, int(self.required("text_encoder_vocab_size")))


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
    FRAMES = 1
    TOKEN = "image_token_id"  # noqa: S105 - an attribute's name

    def array(self, input_name: str) -> Array:
        """Ids and masks as int64, the mask of the image as bool."""
        if input_name.startswith("qformer"):
            mask = self.padding_mask("question", self.batch_size, self.sequence_length)
            return mask if input_name.endswith("mask") else self.token_ids(mask, stream=input_name, ends=True)
        queries = self._queries
        shape = (self.batch_size, queries + self.sequence_length)
        mask = self.padding_mask("text", *shape, shortest=queries + 1)
        if input_name == "attention_mask":
            return mask
        is_image: Array = (mask.cumsum(axis=1) <= queries) & (mask == 1)
        if input_name == "image_embeds_position_mask":
            return is_image
        ids = self.token_ids(mask, ends=True)
        if "image_embeds_position_mask" not in self.input_names:
            ids[is_image] = int(self.required(self.TOKEN))
        return ids

    @property
    def _queries(self) -> int:
        return int(self.normalized_config.get("num_query_tokens") or self.required("latent_query_num")) * self.FRAMES


class DummyFilmQueryPromptGenerator(DummyQueryPromptGenerator):
    """The same after a film of four frames, each with as many queries: (batch, frames, channels, height, width)."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = (*DummyQueryPromptGenerator.SUPPORTED_INPUT_NAMES, "pixel_values")
    FRAMES = 4
    TOKEN = "video_token_index"  # noqa: S105 - an attribute's name

    def array(self, input_name: str) -> Array:
        """One of the inputs."""
        if input_name != "pixel_values":
            return super().array(input_name)
        shapes = self.shapes
        size = (self.batch_size, self.FRAMES, shapes.num_channels, shapes.image_height, shapes.image_width)
        return self.random_float_array(input_name, size)


class DummyRobotGenerator(DummyQueryPromptGenerator):
    """What a robot sees, is told and does: images (batch, 2, channels, height, width), texts after one, its state.

    ``state`` (batch, size), ``noise`` (batch, steps, size of an action), ``timestep`` (batch,) in [0, 1), float32;
    ``pixel_attention_mask`` (batch, 2), bool: which of two cameras gave an image.
    """

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = (
        "input_ids",
        "attention_mask",
        "pixel_values",
        "pixel_attention_mask",
        "state",
        "noise",
        "timestep",
    )

    def array(self, input_name: str) -> Array:
        """One of the inputs."""
        import numpy as np

        shapes, config = self.shapes, self.normalized_config
        if input_name == "timestep":
            return self.random(input_name).random(self.batch_size, dtype=np.float32)
        if input_name == "pixel_attention_mask":
            gave: Array = np.arange(1, self.batch_size + 1)[:, None] % 2 == np.arange(2)
            return gave
        sizes = {
            "state": (config.get("max_state_dim"),),
            "noise": (config.get("chunk_size"), config.get("max_action_dim")),
            "pixel_values": (2, shapes.num_channels, *as_height_and_width(self._eye.image_size)),
        }
        if input_name in sizes:
            return self.random_float_array(input_name, (self.batch_size, *sizes[input_name]))
        return super().array(input_name)

    @property
    def _eye(self) -> Any:
        return self.required("vlm_config").vision_config

    @property
    def _queries(self) -> int:
        height, width = as_height_and_width(self._eye.image_size)
        patch_height, patch_width = as_height_and_width(self._eye.patch_size)
        return (height // patch_height) * (width // patch_width)


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


def merge_size(normalized_config: NormalizedConfig) -> int:
    """How many patches of each side become one later on."""
    for name in ("spatial_merge_size", "merge_size", "merge_kernel_size", "downsample_factor", "pooling_kernel_size"):
        size = normalized_config.get(name)
        if size:
            return as_height_and_width(size)[0]
    return 2
