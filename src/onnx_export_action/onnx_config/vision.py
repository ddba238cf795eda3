"""Models of images: one short class per model type."""

from __future__ import annotations

from onnx_export_action.onnx_config.modalities import VisionOnnxConfig
from onnx_export_action.onnx_config.registry import register_onnx


@register_onnx("vit", "feature-extraction", "image-classification", "masked-im")
class ViTOnnxConfig(VisionOnnxConfig):
    """ViT."""


@register_onnx("resnet", "feature-extraction", "image-classification")
class ResNetOnnxConfig(VisionOnnxConfig):
    """ResNet."""

    IMAGE_SIZE_VARIES = True
