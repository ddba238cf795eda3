"""What pipelines of diffusers are given: latents, steps and conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator

if TYPE_CHECKING:
    from onnx_export_action.onnx_config.dummy_inputs.base import Array


SIZES_OF_AN_IMAGE = 6
"""Original size, crop and target size, a pair each: what Stable Diffusion XL is told of an image."""


class DummyLatentGenerator(DummyInputGenerator):
    """What is denoised (batch, channels, height, width), when (a number without axes), and under which conditions."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = (
        *("sample", "latent_sample", "timestep", "timestep_cond", "text_embeds", "time_ids"),
    )

    def array(self, input_name: str) -> Array:
        """Noise as float32; a step of the usual thousand as int64."""
        import numpy as np

        if input_name == "timestep":
            return np.array(self.random(input_name).integers(1, 1000), dtype=np.int64)
        return self.random_float_array(input_name, self._shape(input_name))

    def _shape(self, input_name: str) -> tuple[int, ...]:
        shapes = self.shapes
        if input_name in ("sample", "latent_sample"):
            return (shapes.batch_size, shapes.num_channels, shapes.image_height, shapes.image_width)
        if input_name == "timestep_cond":
            return (shapes.batch_size, int(self.required("time_cond_proj_dim")))
        if input_name == "time_ids":
            return (shapes.batch_size, SIZES_OF_AN_IMAGE)
        sizes = SIZES_OF_AN_IMAGE * int(self.required("addition_time_embed_dim"))
        return (shapes.batch_size, int(self.required("projection_class_embeddings_input_dim")) - sizes)
