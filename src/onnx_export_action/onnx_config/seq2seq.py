"""Encoder-decoders from text to text: one short class per model type."""

from __future__ import annotations

from onnx_export_action.onnx_config.modalities import TextSeq2SeqOnnxConfig
from onnx_export_action.onnx_config.registry import register_onnx
from onnx_export_action.onnx_config.text_decoders import GENERATION_TASKS

SEQ2SEQ_TASKS = (
    "feature-extraction",
    "feature-extraction-with-past",
    "text2text-generation",
    "text2text-generation-with-past",
)


@register_onnx("t5", *SEQ2SEQ_TASKS)
class T5OnnxConfig(TextSeq2SeqOnnxConfig):
    """T5, with relative positions."""

    HAS_ABSOLUTE_POSITIONS = False


@register_onnx("bart", *SEQ2SEQ_TASKS, *GENERATION_TASKS[2:], "text-classification", "question-answering")
class BartOnnxConfig(TextSeq2SeqOnnxConfig):
    """BART; as a generator of text it is its decoder alone."""
