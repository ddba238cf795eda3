"""Decoders of text: one short class per model type."""

from __future__ import annotations

from onnx_export_action.onnx_config.modalities import TextDecoderWithPositionIdsOnnxConfig
from onnx_export_action.onnx_config.registry import register_onnx

GENERATION_TASKS = (
    "feature-extraction",
    "feature-extraction-with-past",
    "text-generation",
    "text-generation-with-past",
)


@register_onnx("gpt2", *GENERATION_TASKS, "text-classification", "token-classification")
class GPT2OnnxConfig(TextDecoderWithPositionIdsOnnxConfig):
    """GPT-2."""


@register_onnx("llama", *GENERATION_TASKS, "text-classification")
class LlamaOnnxConfig(TextDecoderWithPositionIdsOnnxConfig):
    """Llama, with rotary positions."""

    HAS_ABSOLUTE_POSITIONS = False


@register_onnx("qwen2", *GENERATION_TASKS, "text-classification", "token-classification")
class Qwen2OnnxConfig(LlamaOnnxConfig):
    """Qwen2."""
