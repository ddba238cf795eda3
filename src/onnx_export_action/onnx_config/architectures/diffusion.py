"""Components of diffusers' pipelines, each a folder of its own: the denoiser and the autoencoder of images."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, ClassVar

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator
from onnx_export_action.onnx_config.dummy_inputs.cache import DummyEncoderOutputGenerator
from onnx_export_action.onnx_config.normalized import NormalizedConfig, NormalizedConfigClass, NormalizedVisionConfig
from onnx_export_action.onnx_config.outputs import Axes
from onnx_export_action.onnx_config.registry import register_onnx
from onnx_export_action.onnx_config.shapes import ShapeLimit

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


class DiffusionOnnxConfig(OnnxConfig):
    """A network that halves images or latents and doubles them again; sizes must survive all halving."""

    TRACEABLE = "vision.diffusion"
    DUMMY_INPUT_GENERATOR_CLASSES = (DummyLatentGenerator, DummyEncoderOutputGenerator)
    NORMALIZED_CONFIG_CLASS: ClassVar[NormalizedConfigClass] = NormalizedVisionConfig.with_args(
        image_size="sample_size", encoder_hidden_size="cross_attention_dim", allow_new=True
    )

    @property
    def halvings(self) -> int:
        """By how much the network shrinks its input."""
        return 1 << (len(self._config.block_out_channels) - 1)

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """As the base class says; every stage but the last halves the size."""
        step = self.halvings
        limit = ShapeLimit(step, None, "every stage halves the size", multiple=step)
        return super().shape_limits() | {"image_height": limit, "image_width": limit}


@register_onnx("unet-2d-condition", "semantic-segmentation", "feature-extraction")
class UNetOnnxConfig(DiffusionOnnxConfig):
    """The denoiser of Stable Diffusion; ``semantic-segmentation`` is what optimum calls its task."""

    torch_to_onnx_output_map: ClassVar[dict[str, str]] = {"sample": "out_sample"}

    @property
    def inputs(self) -> Axes:
        """The latents, the step, what the text encoder gave, and the conditions that the model was trained with."""
        text = {0: "batch_size", 1: "sequence_length"}
        inputs = OrderedDict(sample={0: "batch_size", 2: "height", 3: "width"}, timestep={}, encoder_hidden_states=text)
        names = ["text_embeds", "time_ids"] if self._takes_sizes else []
        if self._normalized_config.has_attribute("time_cond_proj_dim"):
            names.append("timestep_cond")
        return inputs | {name: {0: "batch_size"} for name in names}

    @property
    def part_function(self) -> str:
        """Its own call, but for Stable Diffusion XL."""
        return "unet_with_sizes" if self._takes_sizes else ""

    @property
    def _takes_sizes(self) -> bool:
        return bool(self._normalized_config.get("addition_embed_type") == "text_time")

    @property
    def outputs(self) -> Axes:
        """The noise that was found in the latents."""
        return OrderedDict(out_sample={0: "batch_size", 2: "height", 3: "width"})


class VaeEncoderOnnxConfig(DiffusionOnnxConfig):
    """From images to the mean and the logarithm of the variance of latents."""

    FILE_NAME = "vae_encoder"
    CALLS = "vae_encoder"

    @property
    def inputs(self) -> Axes:
        """The images."""
        return OrderedDict(sample={0: "batch_size", 2: "height", 3: "width"})

    @property
    def outputs(self) -> Axes:
        """Mean and logarithm, one after the other along the channels."""
        return OrderedDict(latent_parameters={0: "batch_size", 2: "latent_height", 3: "latent_width"})


class NormalizedLatentConfig(NormalizedConfig):
    """An autoencoder's configuration as its decoder reads it."""

    NUM_CHANNELS = "latent_channels"

    @property
    def image_size(self) -> int:
        """Height and width of the latents of an image of the size that the model was made for."""
        return max(1, int(self.sample_size) >> (len(self.block_out_channels) - 1))


class VaeDecoderOnnxConfig(DiffusionOnnxConfig):
    """From latents to images."""

    FILE_NAME = "vae_decoder"
    CALLS = "vae_decoder"
    NORMALIZED_CONFIG_CLASS = NormalizedLatentConfig

    @property
    def halvings(self) -> int:
        """None: latents of any size are doubled."""
        return 1

    @property
    def inputs(self) -> Axes:
        """The latents."""
        return OrderedDict(latent_sample={0: "batch_size", 2: "latent_height", 3: "latent_width"})

    @property
    def outputs(self) -> Axes:
        """The images."""
        return OrderedDict(sample={0: "batch_size", 2: "height", 3: "width"})


@register_onnx("autoencoder-kl", "semantic-segmentation", "feature-extraction")
class AutoencoderKLOnnxConfig(VaeEncoderOnnxConfig):
    """The autoencoder of Stable Diffusion, whose halves are files of their own."""

    FILE_NAME = CALLS = ""
    PARTS = (VaeEncoderOnnxConfig, VaeDecoderOnnxConfig)
