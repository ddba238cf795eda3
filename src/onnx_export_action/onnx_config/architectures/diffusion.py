"""Components of diffusers' pipelines, each a folder of its own: the denoiser and the autoencoder of images."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, ClassVar

from onnx_export_action.onnx_config.dummy_inputs.cache import DummyEncoderOutputGenerator
from onnx_export_action.onnx_config.dummy_inputs.diffusion import DummyLatentGenerator
from onnx_export_action.onnx_config.modalities import WrittenInterfaceOnnxConfig
from onnx_export_action.onnx_config.normalized import NormalizedConfig, NormalizedConfigClass, NormalizedVisionConfig
from onnx_export_action.onnx_config.outputs import Axes
from onnx_export_action.onnx_config.registry import register_onnx
from onnx_export_action.onnx_config.shapes import AxesMapping, ShapeLimit

if TYPE_CHECKING:
    pass


_IMAGES = {0: "batch_size", 2: "height", 3: "width"}
_LATENTS = {0: "batch_size", 2: "latent_height", 3: "latent_width"}


class DiffusionOnnxConfig(WrittenInterfaceOnnxConfig):
    """A network that halves images or latents and doubles them again; sizes must survive all halving."""

    TRACEABLE = "vision.diffusion"
    DUMMY_INPUT_GENERATOR_CLASSES = (DummyLatentGenerator, DummyEncoderOutputGenerator)
    NORMALIZED_CONFIG_CLASS: ClassVar[NormalizedConfigClass] = NormalizedVisionConfig.with_args(
        image_size="sample_size", encoder_hidden_size="cross_attention_dim", allow_new=True
    )

    HALVES: ClassVar[bool] = True

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """As the base class says; every stage but the last halves the size."""
        step = 1 << (len(self._config.block_out_channels) - 1) if self.HALVES else 1
        limit = ShapeLimit(step, None, "every stage halves the size", multiple=step)
        return super().shape_limits() | {"image_height": limit, "image_width": limit}


@register_onnx("unet-2d-condition", "semantic-segmentation", "feature-extraction")
class UNetOnnxConfig(DiffusionOnnxConfig):
    """The denoiser of Stable Diffusion; ``semantic-segmentation`` is what optimum calls its task."""

    torch_to_onnx_output_map: ClassVar[dict[str, str]] = {"sample": "out_sample"}
    OUTPUTS: ClassVar[AxesMapping] = {"out_sample": _IMAGES}

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


class VaeEncoderOnnxConfig(DiffusionOnnxConfig):
    """From images to the mean and the logarithm of the variance of latents."""

    FILE_NAME = "vae_encoder"
    CALLS = "vae_encoder"
    INPUTS: ClassVar[AxesMapping] = {"sample": _IMAGES}
    # Mean and logarithm, one after the other along the channels.
    OUTPUTS: ClassVar[AxesMapping] = {"latent_parameters": _LATENTS}


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
    # Latents of any size are doubled.
    HALVES = False
    INPUTS: ClassVar[AxesMapping] = {"latent_sample": _LATENTS}
    OUTPUTS: ClassVar[AxesMapping] = {"sample": _IMAGES}


@register_onnx("autoencoder-kl", "semantic-segmentation", "feature-extraction")
class AutoencoderKLOnnxConfig(VaeEncoderOnnxConfig):
    """The autoencoder of Stable Diffusion, whose halves are files of their own."""

    FILE_NAME = CALLS = ""
    PARTS = (VaeEncoderOnnxConfig, VaeDecoderOnnxConfig)
