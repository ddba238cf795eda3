"""Encoder-decoders from text to text: one short class per model type."""

from __future__ import annotations

from typing import Any

from onnx_export_action.onnx_config.architectures.text_decoders import GENERATION_TASKS
from onnx_export_action.onnx_config.architectures.text_encoders import whole_attention_limit
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.modalities import TextSeq2SeqOnnxConfig
from onnx_export_action.onnx_config.normalized import NormalizedEncoderDecoderConfig, NormalizedTextConfig
from onnx_export_action.onnx_config.registry import config_of_part, register_onnx
from onnx_export_action.onnx_config.shapes import ShapeLimit
from onnx_export_action.vocabulary.names.components import ComponentKind

SEQ2SEQ_TASKS = (
    "feature-extraction",
    "feature-extraction-with-past",
    "text2text-generation",
    "text2text-generation-with-past",
)
# Of a decoder that transformers also loads alone, and that also reads to answer about a text.
DECODER_TASKS = GENERATION_TASKS[2:]
READING_TASKS = ("text-classification", "question-answering")


@register_onnx("t5", *SEQ2SEQ_TASKS)
class T5OnnxConfig(TextSeq2SeqOnnxConfig):
    """T5, with relative positions."""

    HAS_ABSOLUTE_POSITIONS = False


@register_onnx("mt5", *SEQ2SEQ_TASKS)
class MT5OnnxConfig(T5OnnxConfig):
    """mT5."""


@register_onnx("longt5", *SEQ2SEQ_TASKS)
class LongT5OnnxConfig(T5OnnxConfig):
    """LongT5, whose encoder attends to a window and perhaps to means of the whole text."""


@register_onnx("bart", *SEQ2SEQ_TASKS, *DECODER_TASKS, *READING_TASKS)
class BartOnnxConfig(TextSeq2SeqOnnxConfig):
    """BART; as a generator of text it is its decoder alone."""


@register_onnx("blenderbot", *SEQ2SEQ_TASKS, *DECODER_TASKS)
class BlenderbotOnnxConfig(BartOnnxConfig):
    """Blenderbot."""


@register_onnx("blenderbot-small", *SEQ2SEQ_TASKS, *DECODER_TASKS)
class BlenderbotSmallOnnxConfig(BartOnnxConfig):
    """Blenderbot of 90 million parameters."""


@register_onnx("m2m_100", *SEQ2SEQ_TASKS)
class M2M100OnnxConfig(BartOnnxConfig):
    """M2M-100 and NLLB."""


@register_onnx("marian", *SEQ2SEQ_TASKS, *DECODER_TASKS)
class MarianOnnxConfig(BartOnnxConfig):
    """Marian."""


@register_onnx("mbart", *SEQ2SEQ_TASKS, *DECODER_TASKS, *READING_TASKS)
class MBartOnnxConfig(BartOnnxConfig):
    """mBART."""


@register_onnx("pegasus", *SEQ2SEQ_TASKS, *DECODER_TASKS)
class PegasusOnnxConfig(BartOnnxConfig):
    """PEGASUS."""


@register_onnx("plbart", *SEQ2SEQ_TASKS, *DECODER_TASKS, "text-classification")
class PLBartOnnxConfig(BartOnnxConfig):
    """PLBART, for programming languages."""


@register_onnx("bigbird_pegasus", *SEQ2SEQ_TASKS, *DECODER_TASKS, *READING_TASKS)
class BigBirdPegasusOnnxConfig(BartOnnxConfig):
    """BigBird as the encoder of a PEGASUS; it attends to all of a text that its blocks would cover anyway."""

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """As the base class says; beyond what the blocks cover, attention is sparse and the places are random."""
        limits = super().shape_limits()
        if self._config.attention_type == "block_sparse" and not self.reads_as_decoder:
            limits["encoder_sequence_length"] = whole_attention_limit(self._config)
        return limits


@register_onnx("encoder-decoder", *SEQ2SEQ_TASKS[2:])
class EncoderDecoderOnnxConfig(TextSeq2SeqOnnxConfig):
    """Any encoder of text with any decoder of text."""

    NORMALIZED_CONFIG_CLASS = NormalizedEncoderDecoderConfig

    @property
    def max_sequence_length(self) -> int | None:
        """How many positions the part has that this file reads text with."""
        part = config_of_part(self._config.encoder if self.kind is ComponentKind.ENCODER else self._config.decoder)
        return super().max_sequence_length if part is None else part.max_sequence_length

    def get_encoder_onnx_config(self, config: Any) -> OnnxConfig:
        """As the base class says; the encoder has a vocabulary of its own."""
        part = super().get_encoder_onnx_config(config)
        part._normalized_config = NormalizedTextConfig(config.encoder)
        return part
