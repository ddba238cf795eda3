"""How long texts, pasts and sounds may become, and at which lengths a model begins to do something else.

A window, a chunk or a switch of the rotary embedding shows only beyond its length. So cases cross every such length
that the budgets allow: in one text, and of a decoder with a cache by a long past and a few new tokens, which costs
little.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.normalized import NormalizedConfig
from onnx_export_action.onnx_config.shapes import ShapeLimit
from onnx_export_action.proving.cases.specs import CaseSpec
from onnx_export_action.vocabulary.names.axes import atomic_axes
from onnx_export_action.vocabulary.results import Padding

MEMORY_BUDGET = 256 * 2**20
"""Bytes that a long text may take in attention and outputs."""
PAST_BUDGET = 128 * 2**20
"""Bytes of the longest past, and a thirty-second of the weights on top; as many come back as ``present``."""
WORK_BUDGET = 6 * 10**10
"""Parameters times tokens of the longest text: about two seconds on two cores."""
_USUAL_POSITIONS = 512  # where a model has no end
_LENGTHS = ("sequence_length", "encoder_sequence_length", "decoder_sequence_length")
_MOST_POSITIONS = 16_384  # of a past, however small the model is
_NEW_TOKENS = 17  # after a past that ends just below a length to cross
_MOST_THRESHOLDS = 6

# Samples or frames that become one token of a speech model, and the most that is tried: 30 seconds. The convolutions
# before the first layer cost about as much again as the layers do.
_SOUNDS = {"audio_sequence_length": (320, 480_000), "nb_max_frames": (2, 3_000)}

# What configurations call a length from which on something else is computed, and what only looks like it.
_THRESHOLD = re.compile(
    r"window|chunk|block|distance|radius|buckets|local_attention|original_max|relative_positions|index_topk"
)
_NO_THRESHOLD = re.compile(
    r"^num_|^n_|layer|feed_forward|lm_head|pattern|vision|image|audio|conv|ratio|expert|dilation"
)
POSITIONS = "max_position_embeddings"


@dataclass(frozen=True)
class Threshold:
    """A length beyond which the model does something else; ``name`` is the configuration's own word for it."""

    name: str
    length: int


def thresholds(onnx_config: OnnxConfig) -> list[Threshold]:
    """The lengths that the configuration of a text model names, shortest first; of several of one length the first."""
    if not any(name.endswith("input_ids") for name in onnx_config.inputs):
        return []
    found: dict[int, Threshold] = {}
    for name, length in _named_lengths(onnx_config.normalized_config):
        found.setdefault(length, Threshold(name, length))
    longest = _end(onnx_config)
    if longest:
        found = {length: one for length, one in found.items() if length < longest}
    return sorted(found.values(), key=lambda one: one.length)[:_MOST_THRESHOLDS]


def _named_lengths(config: NormalizedConfig) -> Iterator[tuple[str, int]]:
    whole = config.config
    parts = [whole] if config.TEXT_CONFIG is None else [getattr(whole, config.TEXT_CONFIG, None), whole]
    for part in parts:
        for name, value in (vars(part) if hasattr(part, "__dict__") else {}).items():
            yield from _lengths_of(name, value)


def _lengths_of(name: str, value: Any) -> Iterator[tuple[str, int]]:
    """Of an attribute: a number, one for each layer, or rotary parameters (of each kind of layer)."""
    if isinstance(value, dict) and "rope" in name:
        for inner, one in value.items():
            yield from _lengths_of(f"rope {inner}" if isinstance(one, dict) else inner, one)
    elif _THRESHOLD.search(name) and not _NO_THRESHOLD.search(name):
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(one, int) and not isinstance(one, bool) and one > 1:
                yield name, one


@dataclass(frozen=True)
class LongestText:
    """How many tokens a case may have within the budgets. Sizes are per token, but for ``heads``."""

    limits: Mapping[str, ShapeLimit]
    positions: int
    parameters: int
    heads: int
    bytes_per_token: int
    cache_bytes_per_token: int

    @classmethod
    def of(cls, onnx_config: OnnxConfig, parameters: int) -> LongestText:
        """Read off the model's configuration; ``parameters`` are those that every token is multiplied with."""
        config = onnx_config.normalized_config
        scores_words = 1 in onnx_config.outputs.get("logits", {})
        vocabulary = _number(config, "vocab_size", 0) if scores_words else 0
        return cls(
            limits=onnx_config.shape_limits(),
            positions=_number(config, POSITIONS, _USUAL_POSITIONS),
            parameters=max(parameters, 1),
            heads=_number(config, "num_attention_heads", 12),
            # Logits on both sides, and what their metrics copy.
            bytes_per_token=4 * (6 * vocabulary + 20 * _number(config, "hidden_size", 1024)),
            cache_bytes_per_token=max(_cache_bytes(onnx_config), 1),
        )

    def text(self, argument: str, rows: int = 1) -> tuple[int, int]:
        """The length to try and the length that the model has."""
        limit = self.limits.get(argument, ShapeLimit())
        positions = self.positions if limit.maximum is None else limit.maximum
        attention = 2 * 4 * self.heads
        half = self.bytes_per_token / (2 * attention)
        within_memory = int((half**2 + MEMORY_BUDGET / (attention * rows)) ** 0.5 - half)
        return limit.clip(min(positions, within_memory, WORK_BUDGET // (self.parameters * rows))), positions

    def past(self, rows: int = 1) -> tuple[int, int]:
        """The past to try and the longest that leaves room for a token."""
        limit = self.limits.get("past_sequence_length", ShapeLimit())
        positions = (self.positions if limit.maximum is None else limit.maximum + 1) - 1
        within_memory = (PAST_BUDGET + self.parameters // 8) // (self.cache_bytes_per_token * rows)
        return limit.clip(min(positions, within_memory, _MOST_POSITIONS)), positions


def long_cases(
    onnx_config: OnnxConfig, arguments: Mapping[str, list[int]], parameters: int, seed: int
) -> list[CaseSpec]:
    """The longest text and past, more than half of each in a padded batch, and what crosses every threshold.

    Within the budgets: what they do not reach is for the result to say.
    """
    texts = LongestText.of(onnx_config, parameters)
    specs = [*_long_texts(onnx_config, texts, arguments), *_long_pasts(onnx_config, texts, arguments)]
    specs += _long_sounds(arguments, parameters)
    return [replace(spec, seed=seed, is_extra=True) for spec in specs]


def _long_texts(onnx_config: OnnxConfig, texts: LongestText, arguments: Mapping[str, list[int]]) -> Iterator[CaseSpec]:
    without_past = {"past_sequence_length": 0} if "past_sequence_length" in arguments else {}
    for argument in _text_lengths(arguments):
        tried = max(arguments[argument])
        longest, positions = texts.text(argument)
        if longest <= tried:
            continue
        one_row = {**_rows(arguments, 1), **without_past}
        yield CaseSpec(
            f"maximum length: {argument} {longest} of {positions}", Padding.NONE, 0, {**one_row, argument: longest}
        )
        lengths = [longest]
        padded = _odd(min(int(0.6 * positions), texts.text(argument, rows=2)[0]))
        if padded > tried and "batch_size" in arguments:
            shapes = {**_rows(arguments, 2), **without_past, argument: padded}
            yield CaseSpec(f"long and padded: {argument} {padded} of {positions}", Padding.LEFT, 0, shapes)
            lengths.append(padded)
        for one in thresholds(onnx_config):
            # Blocks are filled up: a length that is no multiple of them shows it.
            if any(length > one.length and length % one.length for length in lengths):
                continue
            length = _odd(one.length + one.length // 3 + 1)
            length = length if length <= longest else one.length + 1
            if tried < length <= longest:
                yield CaseSpec(
                    f"beyond {one.name} {one.length}: {argument} {length}",
                    Padding.NONE,
                    0,
                    {**one_row, argument: length},
                )
                lengths.append(length)


def _long_pasts(onnx_config: OnnxConfig, texts: LongestText, arguments: Mapping[str, list[int]]) -> Iterator[CaseSpec]:
    new = getattr(onnx_config, "NEW_LENGTH_ARGUMENT", "sequence_length")
    if not {"past_sequence_length", new} <= arguments.keys():
        return
    tried = max(arguments["past_sequence_length"])
    longest, positions = texts.past()
    if longest <= tried:
        return
    one_row = _rows(arguments, 1)
    yield CaseSpec(
        f"maximum past: {longest} of {positions}", Padding.NONE, 0, {**one_row, "past_sequence_length": longest, new: 1}
    )
    padded = _odd(min(int(0.6 * positions), texts.past(rows=2)[0]) - 2)
    if padded > tried and "batch_size" in arguments:
        shapes = {**_rows(arguments, 2), "past_sequence_length": padded, new: 3}
        yield CaseSpec(f"long padded past: {padded} of {positions}", Padding.LEFT, 0, shapes)
    tokens = min(_NEW_TOKENS, texts.text(new)[0])
    for one in thresholds(onnx_config):
        past = one.length - tokens // 2
        if 0 < past <= longest and past + tokens <= positions + 1:
            shapes = {**one_row, "past_sequence_length": past, new: tokens}
            yield CaseSpec(f"across {one.name} {one.length}: past {past}", Padding.NONE, 0, shapes)


def _long_sounds(arguments: Mapping[str, list[int]], parameters: int) -> Iterator[CaseSpec]:
    for argument, (per_token, most) in _SOUNDS.items():
        longest = min(most, per_token * (WORK_BUDGET // (3 * max(parameters, 1))))
        if argument in arguments and longest > max(arguments[argument]):
            yield CaseSpec(
                f"long sound: {argument} {longest}", Padding.NONE, 0, {**_rows(arguments, 1), argument: longest}
            )


def unreached(onnx_config: OnnxConfig, reached: int) -> list[Threshold]:
    """The lengths that no case of ``reached`` positions crosses, the last of them the model's own end."""
    beyond = [one for one in thresholds(onnx_config) if reached <= one.length]
    longest = _end(onnx_config)
    if any(name.endswith("input_ids") for name in onnx_config.inputs) and reached < longest:
        beyond.append(Threshold(POSITIONS, longest))
    return beyond


def _end(onnx_config: OnnxConfig) -> int:
    """How many positions the model has, or was trained on; 0 where its configuration does not say."""
    return onnx_config.max_sequence_length or _number(onnx_config.normalized_config, POSITIONS, 0)


def positions(shape: Mapping[str, int]) -> int:
    """How many positions a case has, past and new, from the sizes of its named axes."""
    return max((size for name, size in shape.items() if atomic_axes(name)[-1] in _LENGTHS), default=0)


def _rows(arguments: Iterable[str], count: int) -> dict[str, int]:
    return {"batch_size": count} if "batch_size" in arguments else {}


def _odd(length: int) -> int:
    return length - 1 + length % 2


def _cache_bytes(onnx_config: OnnxConfig) -> int:
    """Bytes of one row's past for one token, as the dummy inputs have it; 0 without a past."""
    names = [name for name in onnx_config.inputs if name.startswith("past_key_values.")]
    if not names:
        return 0
    one, two = (
        onnx_config.generate_dummy_inputs("np", padding="none", batch_size=1, past_sequence_length=length)
        for length in (1, 2)
    )
    return sum(int(two[name].nbytes) - int(one[name].nbytes) for name in names)


def _text_lengths(arguments: Iterable[str]) -> Sequence[str]:
    """The lengths to stretch: that of all texts where there is one, else each."""
    lengths = [argument for argument in _LENGTHS if argument in arguments]
    return lengths[:1] if "sequence_length" in lengths else lengths


def _number(config: NormalizedConfig, name: str, usual: int) -> int:
    """A size that the configuration names once; some have one for each layer."""
    value = config.get(name, usual)
    return value if isinstance(value, int) and value > 0 else usual
