"""Models of images: one short class per model type."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import ClassVar

from onnx_export_action.onnx_config.architectures.text_decoders import GPT2OnnxConfig
from onnx_export_action.onnx_config.dummy_inputs.vision import DummyMaskingNoiseGenerator, DummyVisionInputGenerator
from onnx_export_action.onnx_config.modalities import TextAndVisionOnnxConfig, VisionOnnxConfig
from onnx_export_action.onnx_config.normalized import NormalizedTextConfig, NormalizedTimmConfig, NormalizedVisionConfig
from onnx_export_action.onnx_config.outputs import Axes
from onnx_export_action.onnx_config.registry import register_onnx
from onnx_export_action.onnx_config.shapes import ShapeLimit
from onnx_export_action.onnx_config.tasks import Modality

IMAGE_TASKS = ("feature-extraction", "image-classification")


@register_onnx("vit", *IMAGE_TASKS, "masked-im")
class ViTOnnxConfig(VisionOnnxConfig):
    """ViT."""


@register_onnx("deit", *IMAGE_TASKS, "masked-im")
class DeiTOnnxConfig(ViTOnnxConfig):
    """DeiT."""


@register_onnx("beit", *IMAGE_TASKS)
class BeitOnnxConfig(ViTOnnxConfig):
    """BEiT, whose relative positions belong to one size."""


@register_onnx("data2vec-vision", *IMAGE_TASKS)
class Data2VecVisionOnnxConfig(BeitOnnxConfig):
    """Data2Vec for images."""


@register_onnx("vit_msn", *IMAGE_TASKS)
class ViTMSNOnnxConfig(ViTOnnxConfig):
    """ViT-MSN."""


@register_onnx("vit_mae", "feature-extraction")
class ViTMAEOnnxConfig(ViTOnnxConfig):
    """ViT-MAE, which hides most patches: those with the highest ``noise``, random numbers that the caller draws."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyVisionInputGenerator, DummyMaskingNoiseGenerator)

    @property
    def inputs(self) -> Axes:
        """The images, and a number per patch."""
        return OrderedDict(pixel_values={0: "batch_size"}, noise={0: "batch_size"})


@register_onnx("clip_vision_model", "feature-extraction")
class CLIPVisionModelOnnxConfig(VisionOnnxConfig):
    """The image tower of CLIP."""

    @property
    def outputs(self) -> Axes:
        """The features of all patches, and of the image."""
        return super().outputs | {"pooler_output": {0: "batch_size"}}


@register_onnx("siglip_vision_model", "feature-extraction")
class SiglipVisionModelOnnxConfig(CLIPVisionModelOnnxConfig):
    """The image tower of SigLIP."""


@register_onnx("dinov2", *IMAGE_TASKS)
class Dinov2OnnxConfig(VisionOnnxConfig):
    """DINOv2, which stretches its positions to any size."""

    IMAGE_SIZE_VARIES = True
    FEATURES = "patches"


@register_onnx("swin", *IMAGE_TASKS, "masked-im")
class SwinOnnxConfig(VisionOnnxConfig):
    """Swin."""


@register_onnx("swinv2", *IMAGE_TASKS, "masked-im")
class Swinv2OnnxConfig(SwinOnnxConfig):
    """Swin V2."""

    TRACEABLE = "vision.swinv2"
    IMAGE_SIZE_VARIES = True
    FEATURES = "patches"


@register_onnx("donut-swin", "feature-extraction")
class DonutSwinOnnxConfig(SwinOnnxConfig):
    """The encoder of Donut."""


@register_onnx("swin2sr", "feature-extraction", "image-to-image")
class Swin2SROnnxConfig(VisionOnnxConfig):
    """Swin2SR."""

    IMAGE_SIZE_VARIES = True

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """As the base class says; the model pads to whole windows and then expects the old size (5.23)."""
        window = self._config.window_size
        limit = ShapeLimit(window, None, "the model cuts images into windows", multiple=window)
        return super().shape_limits() | {"image_height": limit, "image_width": limit}


@register_onnx("hiera", *IMAGE_TASKS)
class HieraOnnxConfig(VisionOnnxConfig):
    """Hiera."""


@register_onnx("levit", *IMAGE_TASKS)
class LevitOnnxConfig(VisionOnnxConfig):
    """LeViT, whose attention biases belong to one size."""


@register_onnx("pvt", *IMAGE_TASKS)
class PvtOnnxConfig(VisionOnnxConfig):
    """Pyramid vision transformer."""


@register_onnx("mgp-str", "feature-extraction")
class MgpstrOnnxConfig(VisionOnnxConfig):
    """MGP-STR, which reads a word by characters, by byte pairs and by word pieces."""

    torch_to_onnx_output_map: ClassVar[dict[str, str]] = {
        "logits.0": "char_logits",
        "logits.1": "bpe_logits",
        "logits.2": "wp_logits",
    }

    @property
    def outputs(self) -> Axes:
        """One set of logits per vocabulary."""
        return OrderedDict((name, {0: "batch_size"}) for name in self.torch_to_onnx_output_map.values())


@register_onnx("perceiver", "fill-mask", "image-classification", "text-classification")
class PerceiverOnnxConfig(TextAndVisionOnnxConfig):
    """Perceiver, which reads bytes or images; it answers at every position that it has, however long the text is."""

    NORMALIZED_CONFIG_CLASS = NormalizedTextConfig

    @property
    def inputs(self) -> Axes:
        """Images to classify them, text for all else."""
        if self.task == "image-classification":
            return OrderedDict(pixel_values={0: "batch_size"})
        axes = {0: "batch_size", 1: "sequence_length"}
        return OrderedDict(input_ids=dict(axes), attention_mask=dict(axes))

    @property
    def outputs(self) -> Axes:
        """Logits, whose only axis that varies is the batch."""
        return OrderedDict(logits={0: "batch_size"})


@register_onnx("imagegpt", *IMAGE_TASKS)
class ImageGPTOnnxConfig(GPT2OnnxConfig):
    """ImageGPT, a GPT-2 that reads images as colours, pixel by pixel."""

    OTHER_FORMS = frozenset({Modality.IMAGE})


@register_onnx("vitpose", "keypoint-detection")
class VitPoseOnnxConfig(VisionOnnxConfig):
    """ViTPose, whose size is its backbone's."""

    NORMALIZED_CONFIG_CLASS = NormalizedVisionConfig.with_args(image_size="backbone_config.image_size")


@register_onnx("dpt", "feature-extraction", "depth-estimation", "image-segmentation", "semantic-segmentation")
class DPTOnnxConfig(VisionOnnxConfig):
    """DPT, which stretches its positions to any size; its heads take the patches for a square."""

    IMAGE_SIZE_VARIES = True
    TASKS_OF_ONE_SIZE = frozenset({"depth-estimation", "image-segmentation", "semantic-segmentation"})
    FEATURES = "patches"


@register_onnx("yolos", "feature-extraction", "object-detection")
class YolosOnnxConfig(VisionOnnxConfig):
    """YOLOS."""

    IMAGE_SIZE_VARIES = True
    FEATURES = "patches"


@register_onnx("resnet", *IMAGE_TASKS)
class ResNetOnnxConfig(VisionOnnxConfig):
    """ResNet."""

    IMAGE_SIZE_VARIES = True


@register_onnx("regnet", *IMAGE_TASKS)
class RegNetOnnxConfig(ResNetOnnxConfig):
    """RegNet."""


@register_onnx("convnext", *IMAGE_TASKS)
class ConvNextOnnxConfig(ResNetOnnxConfig):
    """ConvNeXT."""

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """As the base class says; patches, then half the size at every further stage, without padding."""
        smallest = self._config.patch_size * 2 ** (len(self._config.depths) - 1)
        limit = ShapeLimit(smallest, None, "every stage needs a pixel")
        return super().shape_limits() | {"image_height": limit, "image_width": limit}


@register_onnx("convnextv2", *IMAGE_TASKS)
class ConvNextV2OnnxConfig(ConvNextOnnxConfig):
    """ConvNeXT V2."""


@register_onnx("cvt", *IMAGE_TASKS)
class CvtOnnxConfig(ResNetOnnxConfig):
    """CvT, whose attention has convolutions for positions."""


@register_onnx("efficientnet", *IMAGE_TASKS)
class EfficientNetOnnxConfig(ResNetOnnxConfig):
    """EfficientNet."""

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """As the base class says; the last convolution that halves its input needs two pixels."""
        limit = ShapeLimit(2 * math.prod(self._config.strides), None, "every stage needs a pixel")
        return super().shape_limits() | {"image_height": limit, "image_width": limit}


@register_onnx("mobilenet_v1", *IMAGE_TASKS)
class MobileNetV1OnnxConfig(ResNetOnnxConfig):
    """MobileNet V1."""

    TRACEABLE = "vision.mobilenet_v1"


@register_onnx("mobilenet_v2", *IMAGE_TASKS)
class MobileNetV2OnnxConfig(MobileNetV1OnnxConfig):
    """MobileNet V2."""

    TRACEABLE = "vision.mobilenet_v2"


@register_onnx("mobilevit", *IMAGE_TASKS, "image-segmentation")
class MobileViTOnnxConfig(VisionOnnxConfig):
    """MobileViT, which stretches what does not fit its patches, or not: a choice that a graph cannot leave open."""


@register_onnx("poolformer", *IMAGE_TASKS)
class PoolFormerOnnxConfig(ResNetOnnxConfig):
    """PoolFormer."""


@register_onnx("segformer", *IMAGE_TASKS, "image-segmentation", "semantic-segmentation")
class SegformerOnnxConfig(ResNetOnnxConfig):
    """SegFormer."""


@register_onnx("glpn", "feature-extraction", "depth-estimation")
class GLPNOnnxConfig(ResNetOnnxConfig):
    """GLPN."""


@register_onnx("detr", "feature-extraction", "object-detection", "image-segmentation")
class DetrOnnxConfig(VisionOnnxConfig):
    """DETR; the queries are as many for any image."""

    IMAGE_SIZE_VARIES = True
    FEATURES = "queries"

    @property
    def outputs(self) -> Axes:
        """The task's outputs; segmentation gives a mask per query."""
        if self.task != "image-segmentation":
            return super().outputs
        mask = {0: "batch_size", 2: "output_height", 3: "output_width"}
        return OrderedDict(logits={0: "batch_size"}, pred_boxes={0: "batch_size"}, pred_masks=mask)


@register_onnx("conditional_detr", "feature-extraction", "object-detection", "image-segmentation")
class ConditionalDetrOnnxConfig(DetrOnnxConfig):
    """Conditional DETR."""


@register_onnx("table-transformer", "feature-extraction", "object-detection")
class TableTransformerOnnxConfig(DetrOnnxConfig):
    """Table Transformer."""


@register_onnx("rt_detr", "object-detection")
class RTDetrOnnxConfig(VisionOnnxConfig):
    """RT-DETR, which adds feature maps of three scales to each other."""

    IMAGE_SIZE_VARIES = True
    CHOOSES_QUERIES = True

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """As the base class says; every scale must fit the next."""
        limit = ShapeLimit(64, None, "feature maps of one scale are twice those of the next", multiple=32)
        return super().shape_limits() | {"image_height": limit, "image_width": limit}


@register_onnx("rt_detr_v2", "object-detection")
class RTDetrV2OnnxConfig(RTDetrOnnxConfig):
    """RT-DETRv2."""


@register_onnx("d_fine", "object-detection")
class DFineOnnxConfig(RTDetrOnnxConfig):
    """D-FINE."""


@register_onnx("maskformer", "feature-extraction", "image-segmentation")
class MaskFormerOnnxConfig(VisionOnnxConfig):
    """MaskFormer."""

    TRACEABLE = "vision.maskformer"
    NORMALIZED_CONFIG_CLASS = NormalizedVisionConfig.with_args(image_size="backbone_config.image_size")
    IMAGE_SIZE_VARIES = True
    FEATURES = "queries"
    torch_to_onnx_output_map: ClassVar[dict[str, str]] = {"transformer_decoder_last_hidden_state": "last_hidden_state"}

    @property
    def outputs(self) -> Axes:
        """Features of the queries; or their classes and masks."""
        if self.task == "feature-extraction":
            return super().outputs
        mask = {0: "batch_size", 2: "output_height", 3: "output_width"}
        return OrderedDict(class_queries_logits={0: "batch_size"}, masks_queries_logits=mask)


@register_onnx("timm_wrapper", *IMAGE_TASKS)
class TimmWrapperOnnxConfig(VisionOnnxConfig):
    """Any model of timm, as transformers loads it; of one size where timm says ``fixed_input_size``, or nothing.

    Features are a map, a row of patches or one vector, as the architecture has them.
    """

    NORMALIZED_CONFIG_CLASS = NormalizedTimmConfig

    @property
    def inputs(self) -> Axes:
        """The images."""
        described = self._normalized_config.get("pretrained_cfg") or {}
        any_size = described.get("fixed_input_size") is False and self.task == "image-classification"
        return OrderedDict(pixel_values={0: "batch_size"} | ({2: "height", 3: "width"} if any_size else {}))
