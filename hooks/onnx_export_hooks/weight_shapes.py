"""The weights' shapes and the number of layers against config.json, where one name says what a weight is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from onnx_export_action.project.safetensors_header import TensorHeader
from onnx_export_action.vocabulary.problems import quoted
from onnx_export_hooks.findings import Finding
from onnx_export_hooks.model_config import ModelConfig

# Attributes by which a model type gives its embedding another width than its layers.
_OWN_WIDTHS = (
    "embedding_size",
    "input_embedding_size",
    "word_embed_proj_dim",
    "d_embed",
    "embedding_dim",
    "hidden_size_per_layer_input",
)
_EMBEDDING = re.compile(
    r"(?:^|\.)(?:embeddings\.word_embeddings|embed_tokens|wte|shared|word_embeddings|tokens_embed)\.weight$"
)
_POSITIONS = re.compile(r"(?:^|\.)(?:embeddings\.position_embeddings|wpe)\.weight$")
# One stack of layers under a plain name; types with several stacks, or with stages, have other names around it.
_LAYER = re.compile(
    r"(?:[a-z0-9_]+\.)?(?:encoder\.layer|transformer\.layer|model\.layers|layers|h|gpt_neox\.layers)\.(\d{1,6})\."
)
# transformers 5.23 gives these two positions more than they say.
_MORE_POSITIONS = frozenset({"nystromformer"})
_MATRIX = 2


def shape_findings(config: ModelConfig, weights: Mapping[str, TensorHeader]) -> Iterator[Finding]:
    """What the embeddings and the layers say. Models of several parts repeat these names, so they are left out."""
    if not weights or config.parts or config.facts.parts or "quantization_config" in config.values:
        return
    yield from _embedding_width(config, weights)
    yield from _position_rows(config, weights)
    yield from _layers(config, weights)


def _embedding_width(config: ModelConfig, weights: Mapping[str, TensorHeader]) -> Iterator[Finding]:
    width = config.size("hidden_size")
    if width is None or any(config.get(name) for name in _OWN_WIDTHS):
        return
    for name, tensor in weights.items():
        if _EMBEDDING.search(name) and len(tensor.shape) == _MATRIX and tensor.shape[1] != width:
            key = config.written("hidden_size")
            said = f"{key} is {width}" if key else f"config.json has no hidden_size, the default is {width}"
            yield config.finding("weights-shape", "hidden_size", f"{said}, but {quoted(name)} is {list(tensor.shape)}")
            return


def _position_rows(config: ModelConfig, weights: Mapping[str, TensorHeader]) -> Iterator[Finding]:
    positions = config.size("max_position_embeddings")
    is_plain = config.written("max_position_embeddings") is not None and config.model_type not in _MORE_POSITIONS
    if positions is None or not is_plain:
        return
    for name, tensor in weights.items():
        if _POSITIONS.search(name) and len(tensor.shape) == _MATRIX and tensor.shape[0] != positions:
            key = config.written("max_position_embeddings")
            message = f"{key} is {positions}, but {quoted(name)} is {list(tensor.shape)}"
            yield config.finding("weights-shape", "max_position_embeddings", message)
            return


def _layers(config: ModelConfig, weights: Mapping[str, TensorHeader]) -> Iterator[Finding]:
    count = config.size("num_hidden_layers")
    if count is None or config.get("is_encoder_decoder"):
        return
    numbers = {int(match[1]) for match in map(_LAYER.match, weights) if match is not None}
    # Some decoders keep layers beyond the last, to predict further tokens.
    further = config.get("num_nextn_predict_layers") or config.get("num_mtp_modules") or 0
    if numbers and not count <= max(numbers) + 1 <= count + (further if isinstance(further, int) else 0):
        key = config.written("num_hidden_layers")
        said = f"{key} is {count}" if key else f"config.json has no num_hidden_layers, the default is {count}"
        yield config.finding(
            "weights-shape", "num_hidden_layers", f"{said}, but the weights have {max(numbers) + 1} layers"
        )
