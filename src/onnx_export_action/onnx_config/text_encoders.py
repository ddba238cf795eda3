"""Encoders of text: one short class per model type."""

from __future__ import annotations

from onnx_export_action.onnx_config.base import Axes
from onnx_export_action.onnx_config.modalities import TextEncoderOnnxConfig
from onnx_export_action.onnx_config.registry import register_onnx

TEXT_TASKS = (
    "feature-extraction",
    "fill-mask",
    "text-classification",
    "multiple-choice",
    "token-classification",
    "question-answering",
)


@register_onnx("bert", *TEXT_TASKS, "text-generation")
class BertOnnxConfig(TextEncoderOnnxConfig):
    """BERT, whose texts may come in segments."""

    @property
    def inputs(self) -> Axes:
        """Token ids, their mask and the segment that each belongs to."""
        inputs = super().inputs
        inputs["token_type_ids"] = dict(inputs["input_ids"])
        return inputs


@register_onnx("distilbert", *TEXT_TASKS)
class DistilBertOnnxConfig(TextEncoderOnnxConfig):
    """DistilBERT."""


@register_onnx("roberta", *TEXT_TASKS, "text-generation")
class RobertaOnnxConfig(TextEncoderOnnxConfig):
    """RoBERTa, whose positions start after the padding token's id."""

    @property
    def max_sequence_length(self) -> int | None:
        """The positions that are left: 512 of the 514 of roberta-base."""
        length = super().max_sequence_length
        return None if length is None else length - self._normalized_config.get("pad_token_id", 1) - 1
