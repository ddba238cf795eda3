"""Models of sentence-transformers: one embedding of each text, pooled and normalised inside the graph."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, ClassVar

from onnx_export_action.onnx_config.architectures.multimodal import CLIPOnnxConfig
from onnx_export_action.onnx_config.base import PatchingSpec
from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator
from onnx_export_action.onnx_config.dummy_inputs.text import DummyPromptLengthGenerator, DummyTextInputGenerator
from onnx_export_action.onnx_config.modalities import TextEncoderOnnxConfig
from onnx_export_action.onnx_config.outputs import Axes
from onnx_export_action.onnx_config.registry import config_of_part, register_onnx

PROMPT_LENGTH = "prompt_length"


@register_onnx("transformer", "feature-extraction", "sentence-similarity")
class SentenceTransformersTransformerOnnxConfig(TextEncoderOnnxConfig):
    """A text encoder of any type, whose sizes are those of its own configuration class."""

    DUMMY_INPUT_GENERATOR_CLASSES: ClassVar[tuple[type[DummyInputGenerator], ...]] = (
        DummyTextInputGenerator,
        DummyPromptLengthGenerator,
    )

    def __init__(
        self, config: Any, task: str = "feature-extraction", patching_specs: Sequence[PatchingSpec] | None = None
    ) -> None:
        super().__init__(config, task=task, patching_specs=patching_specs)
        self._encoder = config_of_part(config)

    @property
    def inputs(self) -> Axes:
        """Token ids and their mask; the length of the prompt where that counts for nothing."""
        inputs = super().inputs
        if self._normalized_config.get("takes_prompt_length"):
            inputs[PROMPT_LENGTH] = {}
        return inputs

    @property
    def outputs(self) -> Axes:
        """A vector of each token, one of each text, and what the encoder alone gives.

        The last is for clients that pool by themselves: optimum 0.1.0 and sentence-transformers with ``backend="onnx"``
        ask a file for ``last_hidden_state``.
        """
        tokens = {0: "batch_size", 1: "sequence_length"}
        return OrderedDict(
            token_embeddings=self._axes_in_use(tokens),
            sentence_embedding=self._axes_in_use({0: "batch_size"}),
            last_hidden_state=self._axes_in_use(tokens),
        )

    @property
    def optional_inputs(self) -> dict[str, float]:
        """Without a prompt all tokens count."""
        return {PROMPT_LENGTH: 0.0} if PROMPT_LENGTH in self.inputs else {}

    @property
    def max_sequence_length(self) -> int | None:
        """As many positions as the encoder has."""
        return super().max_sequence_length if self._encoder is None else self._encoder.max_sequence_length


@register_onnx("sentence-transformers-clip", "feature-extraction", "sentence-similarity")
class SentenceTransformersCLIPOnnxConfig(CLIPOnnxConfig):
    """CLIP: embeddings of texts and of images, in one space."""

    @property
    def outputs(self) -> Axes:
        """The embeddings."""
        return OrderedDict(
            text_embeds=self._axes_in_use({0: "text_batch_size"}),
            image_embeds=self._axes_in_use({0: "image_batch_size"}),
        )
