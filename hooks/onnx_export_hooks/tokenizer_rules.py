"""The tokenizer and the processor against config.json: vocabulary, positions, special tokens, image and sound sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from onnx_export_action.vocabulary.names.file_names import TOKENIZER_NAME
from onnx_export_action.vocabulary.problems import quoted
from onnx_export_hooks.exporting import positions_of
from onnx_export_hooks.findings import Finding
from onnx_export_hooks.json_document import JsonDocument
from onnx_export_hooks.model_config import ModelConfig, is_whole
from onnx_export_hooks.model_folder import ModelFolder

NO_LENGTH = 1_000_000  # transformers writes 10**30 where the tokenizer has no limit
SPECIAL_TOKENS = ("unk_token", "bos_token", "eos_token", "sep_token", "pad_token", "cls_token", "mask_token")
_EMBEDDING = re.compile(
    r"(?:^|\.)(?:embeddings\.word_embeddings|embed_tokens|wte|shared|word_embeddings|token_embedding|tokens_embed)\.weight$"
)
# transformers 5.23 gives these embeddings rows of their own beyond the vocabulary.
_LARGER_EMBEDDINGS = frozenset({"mllama_text_model", "musicgen_decoder", "musicgen_melody_decoder"})


def tokenizer_findings(folder: ModelFolder, config: ModelConfig) -> Iterator[Finding]:
    """The vocabulary three times (tokenizer, config.json, embedding), the longest text, the special tokens."""
    yield from _embedding_rows(folder, config)
    text = config.text()
    size = text.size("vocab_size")
    vocabulary = folder.vocabulary
    if vocabulary is not None and size is not None and vocabulary.highest_id >= size:
        token = quoted(vocabulary.token_of(vocabulary.highest_id))
        message = f"{vocabulary.path.name} gives {token} the id {vocabulary.highest_id}, but vocab_size is {size}"
        yield text.finding("vocabulary", "vocab_size", message)
    yield from _lengths(folder, config)
    yield from _special_tokens(folder)


def _embedding_rows(folder: ModelFolder, config: ModelConfig) -> Iterator[Finding]:
    size = config.size("vocab_size")
    if size is None or config.parts or config.facts.parts or config.model_type in _LARGER_EMBEDDINGS:
        return
    embeddings = [name for name in folder.weights if _EMBEDDING.search(name)]
    for name in embeddings[:1]:
        shape = folder.weights[name].shape
        if shape and shape[0] != size:
            said = "vocab_size is" if config.written("vocab_size") else "config.json has no vocab_size, the default is"
            yield config.finding("vocabulary", "vocab_size", f"{said} {size}, but {quoted(name)} has {shape[0]} rows")


def _lengths(folder: ModelFolder, config: ModelConfig) -> Iterator[Finding]:
    positions = positions_of(config)
    if positions is None:
        return
    for file_name, key in (("tokenizer_config.json", "model_max_length"), ("generation_config.json", "max_length")):
        document = folder.json(file_name)
        length = None if document is None else document.value.get(key)
        if document is not None and is_whole(length) and positions < length < NO_LENGTH:
            message = f"{key} is {length}, but the model has {positions} positions"
            yield document.finding("positions", (key,), message)


def _special_tokens(folder: ModelFolder) -> Iterator[Finding]:
    """Only against tokenizer.json: the vocabularies of older files grow when they are read."""
    vocabulary = folder.vocabulary
    if vocabulary is None or vocabulary.path.name != TOKENIZER_NAME:
        return
    for file_name in ("tokenizer_config.json", "special_tokens_map.json"):
        document = folder.json(file_name)
        if document is None:
            continue
        added = _declared_tokens(document)
        for key in SPECIAL_TOKENS:
            token = _content(document.value.get(key))
            if token is not None and token not in vocabulary.ids and token not in added:
                message = f"{key} is {quoted(token)}, which {TOKENIZER_NAME} does not know"
                yield document.finding("special-token", (key,), message, "it would get an id beyond the embedding")


def _declared_tokens(document: JsonDocument) -> set[str]:
    """Tokens that the file itself gives an id."""
    declared = document.value.get("added_tokens_decoder")
    entries = declared.values() if isinstance(declared, dict) else ()
    return {content for content in map(_content, entries) if content is not None}


def _content(token: Any) -> str | None:
    """The text of a token, which may stand in an object with its options."""
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) and content else None


def processor_findings(folder: ModelFolder, config: ModelConfig) -> Iterator[Finding]:
    """The sizes that the processor makes against those that the model takes."""
    document = folder.json("preprocessor_config.json")
    if document is None:
        return
    yield from _image_size(document, config)
    bins, made = config.size("num_mel_bins"), document.value.get("feature_size")
    key = "num_mel_bins" if "num_mel_bins" in document.value else "feature_size"
    made = document.value.get(key, made)
    if bins is not None and is_whole(made) and made != bins and made > 1:
        message = f"{key} is {made}, but the model takes {bins} mel bins"
        yield document.finding("processor-size", (key,), message)


def _image_size(document: JsonDocument, config: ModelConfig) -> Iterator[Finding]:
    taken = _fixed_image_size(config)
    values = document.value
    if taken is None or values.get("do_resize") is False:
        return
    key = "crop_size" if values.get("do_center_crop") and "crop_size" in values else "size"
    made = _height_and_width(values.get(key))
    if made is not None and made != taken:
        message = f"{key} makes images of {made[0]} x {made[1]}, but the model takes {taken[0]} x {taken[1]}"
        yield document.finding("processor-size", (key,), message)


def _fixed_image_size(config: ModelConfig) -> tuple[int, int] | None:
    """Height and width where the model has a position embedding per patch; others take any size."""
    part = next((config.parts[key] for key in ("vision_config", "encoder") if key in config.parts), config)
    if part.model_type not in {"vit", "deit", "clip_vision_model", "vit_msn", "audio-spectrogram-transformer"}:
        return None
    return _height_and_width(part.get("image_size"))


def _height_and_width(size: Any) -> tuple[int, int] | None:
    if is_whole(size):
        return size, size
    if isinstance(size, list) and len(size) == 2 and all(map(is_whole, size)):  # noqa: PLR2004 - height and width
        return size[0], size[1]
    if isinstance(size, dict) and is_whole(size.get("height")) and is_whole(size.get("width")):
        return size["height"], size["width"]
    return None
