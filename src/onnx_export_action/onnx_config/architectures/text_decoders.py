"""Decoders of text: one short class per model type."""

from __future__ import annotations

from typing import ClassVar

from onnx_export_action.onnx_config.dummy_inputs.cache import DummyLatentPastKeyValuesGenerator
from onnx_export_action.onnx_config.dummy_inputs.text import DummyTextInputGenerator
from onnx_export_action.onnx_config.modalities import TextDecoderOnnxConfig, TextDecoderWithPositionIdsOnnxConfig
from onnx_export_action.onnx_config.normalized import NormalizedMultiQueryConfig, NormalizedTextConfig
from onnx_export_action.onnx_config.outputs import Axes
from onnx_export_action.onnx_config.registry import register_onnx

FEATURE_TASKS = ("feature-extraction", "feature-extraction-with-past")
GENERATION_TASKS = (*FEATURE_TASKS, "text-generation", "text-generation-with-past")


@register_onnx("gpt2", *GENERATION_TASKS, "text-classification", "token-classification")
class GPT2OnnxConfig(TextDecoderWithPositionIdsOnnxConfig):
    """GPT-2."""


@register_onnx("gptj", *GENERATION_TASKS, "text-classification", "question-answering")
class GPTJOnnxConfig(GPT2OnnxConfig):
    """GPT-J, whose rotary positions come from a table of fixed length."""


@register_onnx("codegen", *GENERATION_TASKS)
class CodeGenOnnxConfig(GPTJOnnxConfig):
    """CodeGen."""


@register_onnx("gpt_bigcode", *GENERATION_TASKS, "text-classification", "token-classification")
class GPTBigCodeOnnxConfig(GPT2OnnxConfig):
    """GPT-BigCode, whose queries share one head of keys."""

    NORMALIZED_CONFIG_CLASS = NormalizedMultiQueryConfig


@register_onnx("gpt_neo", *GENERATION_TASKS, "text-classification")
class GPTNeoOnnxConfig(GPT2OnnxConfig):
    """GPT-Neo."""


@register_onnx("opt", *GENERATION_TASKS, "text-classification", "question-answering")
class OPTOnnxConfig(TextDecoderWithPositionIdsOnnxConfig):
    """OPT."""


@register_onnx("trocr", *GENERATION_TASKS)
class TrOCROnnxConfig(TextDecoderOnnxConfig):
    """The decoder of TrOCR, which transformers offers with its head only: features are what the head is given."""

    torch_to_onnx_output_map: ClassVar[dict[str, str]] = {"hidden_states.-1": "last_hidden_state"}

    @property
    def extra_forward_arguments(self) -> dict[str, object]:
        """Asks for what the head is given."""
        return {"output_hidden_states": self.task == "feature-extraction"}


@register_onnx("gpt_neox", *GENERATION_TASKS, "text-classification")
class GPTNeoXOnnxConfig(TextDecoderWithPositionIdsOnnxConfig):
    """GPT-NeoX, with rotary positions."""

    HAS_ABSOLUTE_POSITIONS = False


@register_onnx("llama", *GENERATION_TASKS, "text-classification")
class LlamaOnnxConfig(TextDecoderWithPositionIdsOnnxConfig):
    """Llama, with rotary positions."""

    HAS_ABSOLUTE_POSITIONS = False


@register_onnx("arcee", *GENERATION_TASKS)
class ArceeOnnxConfig(LlamaOnnxConfig):
    """Arcee."""


@register_onnx("cohere", *GENERATION_TASKS)
class CohereOnnxConfig(LlamaOnnxConfig):
    """Command-R."""


@register_onnx("deepseek_v3", *GENERATION_TASKS)
class DeepseekV3OnnxConfig(LlamaOnnxConfig):
    """DeepSeek V3, which caches what keys and values are made of."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyTextInputGenerator, DummyLatentPastKeyValuesGenerator)


@register_onnx("falcon", *GENERATION_TASKS, "question-answering", "token-classification")
class FalconOnnxConfig(LlamaOnnxConfig):
    """Falcon, whose positions are rotary, or biases of attention."""

    NORMALIZED_CONFIG_CLASS = NormalizedMultiQueryConfig

    @property
    def inputs(self) -> Axes:
        """As Llama's; biases are worked out from the mask."""
        inputs = super().inputs
        if self._config.alibi:
            inputs.pop("position_ids", None)
        return inputs


@register_onnx("glm", *GENERATION_TASKS)
class GlmOnnxConfig(LlamaOnnxConfig):
    """GLM-4."""


@register_onnx("granite", *GENERATION_TASKS)
class GraniteOnnxConfig(LlamaOnnxConfig):
    """Granite."""


@register_onnx("helium", *GENERATION_TASKS)
class HeliumOnnxConfig(LlamaOnnxConfig):
    """Helium."""


@register_onnx("mistral", *GENERATION_TASKS, "text-classification")
class MistralOnnxConfig(LlamaOnnxConfig):
    """Mistral."""


@register_onnx("mixtral", *GENERATION_TASKS, "text-classification", "token-classification")
class MixtralOnnxConfig(MistralOnnxConfig):
    """Mixtral."""


@register_onnx("olmo", *GENERATION_TASKS)
class OlmoOnnxConfig(LlamaOnnxConfig):
    """OLMo."""


@register_onnx("olmo2", *GENERATION_TASKS)
class Olmo2OnnxConfig(OlmoOnnxConfig):
    """OLMo 2."""


@register_onnx("phi", *GENERATION_TASKS, "text-classification")
class PhiOnnxConfig(LlamaOnnxConfig):
    """Phi."""


@register_onnx("phi3", *GENERATION_TASKS, "text-classification")
class Phi3OnnxConfig(PhiOnnxConfig):
    """Phi-3."""


@register_onnx("qwen2", *GENERATION_TASKS, "text-classification", "token-classification")
class Qwen2OnnxConfig(LlamaOnnxConfig):
    """Qwen2."""


@register_onnx("qwen3", *GENERATION_TASKS, "text-classification")
class Qwen3OnnxConfig(Qwen2OnnxConfig):
    """Qwen3."""


@register_onnx("qwen3_moe", *GENERATION_TASKS, "text-classification", "token-classification")
class Qwen3MoeOnnxConfig(Qwen3OnnxConfig):
    """Qwen3 of several experts."""


@register_onnx("smollm3", *GENERATION_TASKS, "text-classification")
class SmolLM3OnnxConfig(LlamaOnnxConfig):
    """SmolLM3."""


@register_onnx("stablelm", *GENERATION_TASKS)
class StableLmOnnxConfig(LlamaOnnxConfig):
    """StableLM."""


@register_onnx("bloom", *GENERATION_TASKS, "text-classification", "token-classification")
class BloomOnnxConfig(TextDecoderOnnxConfig):
    """BLOOM, whose positions are biases of attention worked out from the mask."""

    HAS_ABSOLUTE_POSITIONS = False


@register_onnx("mpt", *GENERATION_TASKS, "text-classification", "token-classification")
class MPTOnnxConfig(TextDecoderOnnxConfig):
    """MPT, whose biases of attention come from a table of ``max_seq_len``."""


@register_onnx("gemma", *GENERATION_TASKS, "text-classification")
class GemmaOnnxConfig(TextDecoderOnnxConfig):
    """Gemma: rotary positions, which may count from the padding on."""

    HAS_ABSOLUTE_POSITIONS = False


@register_onnx("gemma2", *GENERATION_TASKS, "text-classification")
class Gemma2OnnxConfig(GemmaOnnxConfig):
    """Gemma 2."""


@register_onnx("gemma3_text", *GENERATION_TASKS, "text-classification")
class Gemma3TextOnnxConfig(GemmaOnnxConfig):
    """Gemma 3 of text alone."""


@register_onnx("gemma3", *GENERATION_TASKS, "text-classification")
class Gemma3OnnxConfig(GemmaOnnxConfig):
    """Gemma 3, asked about text alone."""

    NORMALIZED_CONFIG_CLASS = NormalizedTextConfig.with_args(text_config="text_config")


@register_onnx("gpt_oss", *GENERATION_TASKS)
class GPTOssOnnxConfig(GemmaOnnxConfig):
    """GPT-OSS."""


@register_onnx("nemotron", *GENERATION_TASKS)
class NemotronOnnxConfig(GemmaOnnxConfig):
    """Nemotron."""
