"""Images, videos, and regions of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnx_export_action.onnx_config.dummy_inputs.base import _USUAL_FRAMES, DummyInputGenerator
from onnx_export_action.onnx_config.shapes import as_height_and_width

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Mask = NDArray[np.int64]


class DummyVisionInputGenerator(DummyInputGenerator):
    """Images, shape (batch, channels, height, width), and their masks. Images are padded at the bottom and right."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("pixel_values", "pixel_mask", "bool_masked_pos")

    def array(self, input_name: str) -> Array:
        """Pixels as float32, ``pixel_mask`` (batch, height, width) as int64, ``bool_masked_pos`` as bool."""
        if input_name == "pixel_mask":
            return self._pixel_mask()
        if input_name == "bool_masked_pos":
            return self._masked_patches()
        shapes = self.shapes
        size = (shapes.image_batch_size, shapes.num_channels, shapes.image_height, shapes.image_width)
        pixels = self.random_float_array(input_name, size)
        return pixels * self._pixel_mask()[:, None].astype(pixels.dtype) if "pixel_mask" in self.input_names else pixels

    def _pixel_mask(self) -> Mask:
        count = self.shapes.image_batch_size
        rows = self.padding_mask("height", count, self.shapes.image_height, side="right")
        columns = self.padding_mask("width", count, self.shapes.image_width, side="right")
        return rows[:, :, None] * columns[:, None, :]

    def _masked_patches(self) -> Array:
        shape = (self.shapes.image_batch_size, number_of_patches(self))
        return self.random_int_array("bool_masked_pos", shape, 2).astype(bool)


class DummyRegionGenerator(DummyInputGenerator):
    """Images as a detector cut them up: (batch, regions, size of a region's features), their masks and types."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("visual_embeds", "visual_attention_mask", "visual_token_type_ids")

    def array(self, input_name: str) -> Array:
        """Features as float32, mask and types as int64; the type of a region is 1, as in VisualBERT's documentation."""
        import numpy as np

        shape = (self.batch_size, self.shapes.visual_seq_length)
        if input_name == "visual_embeds":
            return self.random_float_array(input_name, (*shape, int(self.required("visual_embedding_dim"))))
        mask = self.padding_mask("regions", *shape, side="right")
        return mask if input_name == "visual_attention_mask" else np.ones_like(mask)


class DummyPointGenerator(DummyInputGenerator):
    """Points that ask for a mask: ``input_points`` (batch, masks, points, 2) in pixels, float32, and what each says."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("input_points", "input_labels")

    def array(self, input_name: str) -> Array:
        """The points; or their labels, int64: 1 inside, 0 outside, -1 background, -10 no point (``SamModel``)."""
        import numpy as np

        shapes = self.shapes
        shape = (self.batch_size, shapes.point_batch_size, shapes.nb_points_per_image)
        random = self.random(input_name)
        array: Array = np.array([1, 0, -1, -10])[random.integers(0, 4, shape)]
        if input_name == "input_points":
            array = random.random((*shape, 2), dtype=np.float32) * np.float32(shapes.image_height)
        return array


class DummyImageEmbeddingGenerator(DummyInputGenerator):
    """What SAM's image encoder answered, and its positions: (batch, channels, height, width), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("image_embeddings", "image_positional_embeddings")

    def array(self, input_name: str) -> Array:
        """One of the two, which have the same shape."""
        height = width = int(self.required("image_embedding_size"))
        return self.random_float_array(input_name, (self.batch_size, int(self.required("channels")), height, width))


class DummyPatchGenerator(DummyInputGenerator):
    """Images of any shape, in patches: (batch, patches, 2 + size of a patch), row and column before the pixels."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("flattened_patches", "attention_mask", "encoder_attention_mask")

    def array(self, input_name: str) -> Array:
        """Patches as float32, padded at the end with zeros; the mask as int64."""
        import numpy as np

        mask = self.padding_mask("patches", self.batch_size, self.shapes.encoder_sequence_length, side="right")
        if input_name != "flattened_patches":
            return mask
        pixels = self.random_float_array(input_name, (*mask.shape, int(self.required("patch_embed_hidden_size"))))
        places = self.random_int_array("patch places", (*mask.shape, 2), int(self.required("seq_len")))
        patches: Array = np.concatenate([places, pixels], axis=-1, dtype=np.float32) * mask[..., None].astype("float32")
        return patches


class DummyMaskingNoiseGenerator(DummyInputGenerator):
    """What decides which patches are hidden: ``noise`` in [0, 1), shape (batch, patches), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("noise",)

    def array(self, input_name: str) -> Array:
        """A number per patch."""
        import numpy as np

        return self.random(input_name).random((self.batch_size, number_of_patches(self)), dtype=np.float32)


def number_of_patches(generator: DummyInputGenerator) -> int:
    """How many patches the images are cut into."""
    patch_height, patch_width = as_height_and_width(generator.required("patch_size"))
    return (generator.shapes.image_height // patch_height) * (generator.shapes.image_width // patch_width)


class DummyVideoGenerator(DummyInputGenerator):
    """Videos of the model's one length: (batch, frames, channels, height, width), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("pixel_values", "pixel_values_videos")

    def array(self, input_name: str) -> Array:
        """The videos."""
        shapes, config = self.shapes, self.normalized_config
        frames = config.get("num_frames") or config.get("frames_per_clip")
        if frames is None:
            # Any number is right where a model takes films under their own name and says none.
            frames = _USUAL_FRAMES if input_name == "pixel_values_videos" else self.required("frames_per_clip")
        height, width = shapes.image_height, shapes.image_width
        if config.has_attribute("image_size") or config.has_attribute("crop_size"):
            height, width = as_height_and_width(config.get("image_size") or config.get("crop_size"))
        return self.random_float_array(input_name, (self.batch_size, int(frames), shapes.num_channels, height, width))
