"""What config.json says of the model itself: names, sizes, heads, special tokens, labels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from onnx_export_action.project.safetensors_header import TensorHeader
from onnx_export_action.vocabulary.problems import quoted
from onnx_export_hooks.findings import Finding
from onnx_export_hooks.json_document import JsonDocument
from onnx_export_hooks.model_config import ModelConfig, is_whole
from onnx_export_hooks.model_folder import ModelFolder
from onnx_export_hooks.model_types import shared_attributes

SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "type_vocab_size",
    "encoder_layers",
    "decoder_layers",
    "encoder_attention_heads",
    "decoder_attention_heads",
    "encoder_ffn_dim",
    "decoder_ffn_dim",
    "image_size",
    "patch_size",
    "num_channels",
    "num_mel_bins",
    "max_source_positions",
    "max_target_positions",
)
# Where a configuration gives one of these, heads have a size of their own.
_HEAD_SIZE = re.compile(r"head_dim|d_head|dim_head|d_kv|head_size|kv_channels|key_dim|qk_.*dim|key_length|head_width")
_HEADS_OF = (
    ("num_attention_heads", "hidden_size"),
    ("encoder_attention_heads", "d_model"),
    ("decoder_attention_heads", "d_model"),
)
_TOKEN_ID = re.compile(r"(?:[a-z]+_)*(?:token_id|token_ids|token_index)")
_CLASSIFIER = re.compile(r"(?:^|\.)(?:classifier|score|classifier\.out_proj|classification_head\.out_proj)\.weight$")
_SHORTEST_ATTRIBUTE = 6
_MAX_LABEL_FINDINGS = 10


def attribute_findings(config: ModelConfig) -> Iterator[Finding]:
    """Names, sizes and heads of a configuration and of each of its parts."""
    for part in config.all_parts():
        yield from _misspelt(part)
        wrong = list(_wrong_sizes(part))
        yield from wrong
        if not wrong:
            yield from _heads(part)


def _misspelt(config: ModelConfig) -> Iterator[Finding]:
    if not config.facts.defaults:
        return
    known = config.facts.attributes() | set(shared_attributes())
    for key in config.values:
        if key in known or len(key) < _SHORTEST_ATTRIBUTE or key.startswith("_"):
            continue
        meant = next((name for name in sorted(known - config.values.keys()) if _one_slip(key, name)), None)
        if meant is not None:
            message = f"{config.model_type} has no attribute {quoted(key)}, so the default of {meant} counts"
            yield config.finding("misspelt-attribute", key, message, f"did you mean {quoted(meant)}?")


def _one_slip(word: str, other: str) -> bool:
    """Whether one letter too many, missing, wrong, or two exchanged make one word of the other; digits may differ."""
    if abs(len(word) - len(other)) > 1 or word == other:
        return False
    start = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))
    rest, other_rest = word[start:], other[start:]
    slipped = rest[:1] + other_rest[:1]
    if any(char.isdigit() for char in slipped):
        return False
    exchanged = rest[:2] == other_rest[1::-1] and rest[2:] == other_rest[2:]
    return rest[1:] == other_rest or rest == other_rest[1:] or rest[1:] == other_rest[1:] or exchanged


def _wrong_sizes(config: ModelConfig) -> Iterator[Finding]:
    for name in SIZES:
        key = config.written(name)
        value = None if key is None else config.values[key]
        if key is None or config.has_default(name, value) or _is_size(value):
            continue
        hint = f"write {value} without quotes" if isinstance(value, str) and value.isdecimal() else None
        message = f"{key} must be a whole number of at least 1, not {quoted(value)}"
        yield config.finding("attribute-type", name, message, hint)


def _is_size(value: Any) -> bool:
    """A number, or one for each stage or direction; what else it holds is up to the model type."""
    if isinstance(value, list | dict):
        return True
    return (is_whole(value) and value >= 1) or (isinstance(value, float) and value >= 1 and value.is_integer())


def _heads(config: ModelConfig) -> Iterator[Finding]:
    if _heads_are_like_the_default(config):
        return
    own_size = any(_HEAD_SIZE.search(name) and config.get(name) for name in (*config.facts.defaults, *config.values))
    for heads_name, size_name in _HEADS_OF:
        heads, size = config.size(heads_name), config.size(size_name)
        if heads is None or size is None or own_size or config.written(heads_name) is None:
            continue
        if size % heads != 0:
            message = f"{_key(config, size_name)} {size} is not divisible by {_key(config, heads_name)} {heads}"
            yield config.finding("attention-heads", heads_name, message)
    heads, shared = config.size("num_attention_heads"), config.size("num_key_value_heads")
    if heads is not None and shared is not None and heads % shared != 0:
        message = f"{_key(config, 'num_attention_heads')} {heads} is not divisible by num_key_value_heads {shared}"
        yield config.finding("attention-heads", "num_key_value_heads", message)


def _heads_are_like_the_default(config: ModelConfig) -> bool:
    """Whether nothing differs from the model type's own default, which must not be accused."""
    names = ("hidden_size", "d_model", "num_attention_heads", "num_key_value_heads")
    written = {name: config.get(name) for name in names if config.written(name) is not None}
    return all(config.has_default(name, value) for name, value in written.items())


def _key(config: ModelConfig, name: str) -> str:
    return config.written(name) or name


def token_id_findings(folder: ModelFolder, config: ModelConfig) -> Iterator[Finding]:
    """Special token ids of config.json and generation_config.json, inside the vocabulary of their part."""
    for part in config.all_parts():
        size = part.text().size("vocab_size")
        if size is not None:
            yield from _ids_outside(part.document, part.steps, part.values, size, part)
    generation = folder.json("generation_config.json")
    size = config.text().size("vocab_size")
    if generation is not None and size is not None:
        yield from _ids_outside(generation, (), generation.value, size, config)


def _ids_outside(
    document: JsonDocument, steps: tuple[str, ...], values: dict[str, Any], vocab_size: int, config: ModelConfig
) -> Iterator[Finding]:
    for key, value in values.items():
        if not _TOKEN_ID.fullmatch(key):
            continue
        for number in value if isinstance(value, list) else [value]:
            if not is_whole(number) or 0 <= number < vocab_size or _is_harmless(key, number, config):
                continue
            message = f"{key} is {number}, but the vocabulary has the ids 0 to {vocab_size - 1}"
            yield document.finding("token-id", (*steps, key), message)
            break


def _is_harmless(key: str, number: int, config: ModelConfig) -> bool:
    """-1 stands for no padding token in older checkpoints; and a type's own defaults are not the user's mistake."""
    text = config.text()
    untouched = text.written("vocab_size") is None or text.has_default("vocab_size", text.get("vocab_size"))
    return (key == "pad_token_id" and number == -1) or (untouched and config.has_default(key, number))


def label_findings(config: ModelConfig, weights: Mapping[str, TensorHeader]) -> Iterator[Finding]:
    """The number of classes and their names, against each other and against the classifier's weights."""
    names, numbers = config.values.get("id2label"), config.values.get("label2id")
    if isinstance(names, dict) and names:
        yield from _label_names(config, names)
        if isinstance(numbers, dict) and numbers:
            yield from _label_numbers(config, names, numbers)
    elif names is not None and not isinstance(names, dict):
        yield config.finding("labels", "id2label", "id2label must be an object: number -> name")
    yield from _classifier_rows(config, weights)


def _label_names(config: ModelConfig, names: dict[str, Any]) -> Iterator[Finding]:
    count = config.values.get("num_labels")
    if is_whole(count) and count != len(names):
        yield config.finding("labels", "num_labels", f"num_labels is {count}, but id2label names {len(names)} classes")
    strangers = [key for key in names if not (key.isascii() and key.isdecimal() and int(key) < len(names))]
    if strangers:
        message = f"id2label names the class {quoted(strangers[0])}, but {len(names)} classes are 0 to {len(names) - 1}"
        yield config.document.finding("labels", ("id2label", strangers[0]), message)


def _label_numbers(config: ModelConfig, names: dict[str, Any], numbers: dict[str, Any]) -> Iterator[Finding]:
    if len(numbers) != len(names):
        message = f"label2id names {len(numbers)} classes, id2label {len(names)}"
        # Several classes of one name have one number: the names alone cannot be told apart.
        if len(set(map(str, names.values()))) == len(names):
            yield config.finding("labels", "label2id", message)
        return
    wrong = [name for name, number in numbers.items() if names.get(str(number)) != name]
    for name in wrong[:_MAX_LABEL_FINDINGS]:
        message = (
            f"label2id gives {quoted(name)} the number {quoted(numbers[name])}, id2label names that class differently"
        )
        yield config.document.finding("labels", ("label2id", name), message)


def _classifier_rows(config: ModelConfig, weights: Mapping[str, TensorHeader]) -> Iterator[Finding]:
    classifies = ("ForSequenceClassification", "ForTokenClassification", "ForImageClassification")
    if not any(name.endswith(classifies) for name in config.architectures()):
        return
    for name, tensor in weights.items():
        if _CLASSIFIER.search(name) and len(tensor.shape) == 2 and tensor.shape[0] != config.num_labels():  # noqa: PLR2004 - a matrix
            message = (
                f"the weight {quoted(name)} tells {tensor.shape[0]} classes apart, config.json {config.num_labels()}"
            )
            yield config.finding("labels", "id2label", message)
            return
