"""Encoders of text: one short class per model type."""

from __future__ import annotations

from typing import Any

from onnx_export_action.onnx_config.dummy_inputs.text import (
    DummyBoxGenerator,
    DummyGlobalAttentionGenerator,
    DummyQuestionAndContextInputGenerator,
    DummyQuestionTextInputGenerator,
    DummyTextInputGenerator,
    DummyXPathGenerator,
)
from onnx_export_action.onnx_config.modalities import TextEncoderOnnxConfig
from onnx_export_action.onnx_config.outputs import Axes
from onnx_export_action.onnx_config.registry import register_onnx
from onnx_export_action.onnx_config.shapes import ShapeLimit

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


@register_onnx("albert", *TEXT_TASKS)
class AlbertOnnxConfig(BertOnnxConfig):
    """ALBERT."""


@register_onnx("convbert", *TEXT_TASKS)
class ConvBertOnnxConfig(BertOnnxConfig):
    """ConvBERT."""


@register_onnx("electra", *TEXT_TASKS, "text-generation")
class ElectraOnnxConfig(BertOnnxConfig):
    """ELECTRA."""


@register_onnx("ernie", *TEXT_TASKS, "text-generation")
class ErnieOnnxConfig(BertOnnxConfig):
    """ERNIE."""


@register_onnx("megatron-bert", *TEXT_TASKS, "text-generation")
class MegatronBertOnnxConfig(BertOnnxConfig):
    """BERT of Megatron-LM."""


@register_onnx("mobilebert", *TEXT_TASKS)
class MobileBertOnnxConfig(BertOnnxConfig):
    """MobileBERT."""


@register_onnx("nystromformer", *TEXT_TASKS)
class NystromformerOnnxConfig(BertOnnxConfig):
    """Nyströmformer."""


@register_onnx("rembert", *TEXT_TASKS, "text-generation")
class RemBertOnnxConfig(BertOnnxConfig):
    """RemBERT."""


@register_onnx("roformer", *TEXT_TASKS, "text-generation")
class RoFormerOnnxConfig(BertOnnxConfig):
    """RoFormer."""


@register_onnx("splinter", "feature-extraction", "question-answering")
class SplinterOnnxConfig(BertOnnxConfig):
    """Splinter, which answers where a text has its question token."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyQuestionTextInputGenerator,)


@register_onnx("squeezebert", *TEXT_TASKS)
class SqueezeBertOnnxConfig(BertOnnxConfig):
    """SqueezeBERT."""


@register_onnx("xlm", *TEXT_TASKS, "text-generation")
class XLMOnnxConfig(BertOnnxConfig):
    """XLM, whose segments are embedded as if they were tokens."""


@register_onnx("flaubert", *TEXT_TASKS, "text-generation")
class FlaubertOnnxConfig(XLMOnnxConfig):
    """FlauBERT."""


@register_onnx("deberta", *(task for task in TEXT_TASKS if task != "multiple-choice"))
class DebertaOnnxConfig(BertOnnxConfig):
    """DeBERTa, whose published models know no segments."""

    @property
    def inputs(self) -> Axes:
        """As BERT's, without segments where the model has no embedding for them."""
        inputs = super().inputs
        if not self._config.type_vocab_size:
            del inputs["token_type_ids"]
        return inputs

    @property
    def max_sequence_length(self) -> int | None:
        """The positions, where they are embedded and not only seen relative to each other."""
        return super().max_sequence_length if self._config.position_biased_input else None


@register_onnx("deberta-v2", *TEXT_TASKS)
class DebertaV2OnnxConfig(DebertaOnnxConfig):
    """DeBERTa V2 and V3."""


@register_onnx("layoutlm", "feature-extraction", "fill-mask", "text-classification", "token-classification")
class LayoutLMOnnxConfig(BertOnnxConfig):
    """LayoutLM, which also reads where on the page each token stands."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyTextInputGenerator, DummyBoxGenerator)

    @property
    def inputs(self) -> Axes:
        """As BERT's, and the box around each token."""
        inputs = super().inputs
        return Axes(input_ids=inputs["input_ids"], bbox=dict(inputs["input_ids"])) | inputs


@register_onnx("distilbert", *TEXT_TASKS)
class DistilBertOnnxConfig(TextEncoderOnnxConfig):
    """DistilBERT."""


@register_onnx("big_bird", *TEXT_TASKS, "text-generation")
class BigBirdOnnxConfig(TextEncoderOnnxConfig):
    """BigBird, which attends to all of a text that its blocks would cover anyway."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyQuestionAndContextInputGenerator,)

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """As the base class says; beyond what the blocks cover, attention is sparse and the places are random."""
        limits = super().shape_limits()
        if self._config.attention_type == "block_sparse":
            limits["sequence_length"] = whole_attention_limit(self._config)
        return limits


def whole_attention_limit(config: Any) -> ShapeLimit:
    """The lengths at which BigBird attends to everything (``BigBirdModel.forward`` of transformers)."""
    covered = (5 + 2 * config.num_random_blocks) * config.block_size
    longest = min(covered, config.max_position_embeddings)
    return ShapeLimit(1, longest, "beyond it attention is sparse, at random places drawn when it runs")


@register_onnx("modernbert", "feature-extraction", "fill-mask", "text-classification", "token-classification")
class ModernBertOnnxConfig(TextEncoderOnnxConfig):
    """ModernBERT, with rotary positions."""

    HAS_ABSOLUTE_POSITIONS = False


@register_onnx("roberta", *TEXT_TASKS, "text-generation")
class RobertaOnnxConfig(TextEncoderOnnxConfig):
    """RoBERTa, whose positions start after the padding token's id."""

    @property
    def max_sequence_length(self) -> int | None:
        """The positions that are left: 512 of the 514 of roberta-base."""
        length = super().max_sequence_length
        return None if length is None else length - self._normalized_config.get("pad_token_id", 1) - 1


@register_onnx("camembert", *TEXT_TASKS, "text-generation")
class CamembertOnnxConfig(RobertaOnnxConfig):
    """CamemBERT."""


@register_onnx("data2vec-text", *TEXT_TASKS, "text-generation")
class Data2VecTextOnnxConfig(RobertaOnnxConfig):
    """Data2Vec for text."""


@register_onnx("esm", "feature-extraction", "fill-mask", "text-classification", "token-classification")
class EsmOnnxConfig(RobertaOnnxConfig):
    """ESM, for the language of proteins."""

    @property
    def max_sequence_length(self) -> int | None:
        """The positions, where they are embedded; those of ESM-2 are rotary."""
        return super().max_sequence_length if self._config.position_embedding_type == "absolute" else None


@register_onnx("longformer", *TEXT_TASKS)
class LongformerOnnxConfig(RobertaOnnxConfig):
    """Longformer, whose tokens see a window, and those of ``global_attention_mask`` everything."""

    TRACEABLE = "text.longformer"
    DUMMY_INPUT_GENERATOR_CLASSES = (DummyTextInputGenerator, DummyGlobalAttentionGenerator)

    @property
    def inputs(self) -> Axes:
        """Token ids, mask, segments, and which tokens see and are seen from everywhere."""
        inputs = super().inputs
        return inputs | {name: dict(inputs["input_ids"]) for name in ("token_type_ids", "global_attention_mask")}


@register_onnx("mpnet", *TEXT_TASKS)
class MPNetOnnxConfig(RobertaOnnxConfig):
    """MPNet."""


@register_onnx("ibert", *TEXT_TASKS)
class IBertOnnxConfig(RobertaOnnxConfig):
    """I-BERT."""


@register_onnx("xlm-roberta", *TEXT_TASKS, "text-generation")
class XLMRobertaOnnxConfig(RobertaOnnxConfig):
    """XLM-RoBERTa."""


@register_onnx("xlm-roberta-xl", *TEXT_TASKS, "text-generation")
class XLMRobertaXLOnnxConfig(RobertaOnnxConfig):
    """XLM-RoBERTa-XL."""


@register_onnx("lilt", "feature-extraction", "text-classification", "token-classification", "question-answering")
class LiltOnnxConfig(RobertaOnnxConfig):
    """LiLT, which reads boxes beside any RoBERTa."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyTextInputGenerator, DummyBoxGenerator)

    @property
    def inputs(self) -> Axes:
        """Token ids, the box around each, and their mask."""
        inputs = super().inputs
        return Axes(input_ids=inputs["input_ids"], bbox=dict(inputs["input_ids"])) | inputs


@register_onnx("markuplm", "feature-extraction", "text-classification", "token-classification", "question-answering")
class MarkupLMOnnxConfig(RobertaOnnxConfig):
    """MarkupLM, which reads where in a page's tree each token stands."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyTextInputGenerator, DummyXPathGenerator)

    @property
    def inputs(self) -> Axes:
        """Token ids, mask, segments, and the tags and subscripts on the way to each token."""
        inputs = super().inputs
        for name in ("token_type_ids", "xpath_tags_seq", "xpath_subs_seq"):
            inputs[name] = dict(inputs["input_ids"])
        return inputs
