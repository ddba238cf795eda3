"""The grid of inputs: shapes, masks, past lengths. Planned for any configuration class, registered or a user's own.

Which shape arguments matter is found by trial: an argument belongs to the grid when changing it changes inputs only
along axes that the configuration declares dynamic. So an axis that is declared is an axis that is varied.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.normalized import NormalizedConfig
from onnx_export_action.onnx_config.shapes import ShapeLimit
from onnx_export_action.proving.arrays import Arrays
from onnx_export_action.proving.records import CaseOrigin
from onnx_export_action.vocabulary.components import ComponentKind
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.results import Mask

MEMORY_BUDGET = 256 * 2**20
"""Bytes that the longest text may take in attention and outputs; a cache of the longest past, an eighth of it."""
WORK_BUDGET = 6 * 10**10
"""Parameters times tokens of the longest text: about two seconds on two cores."""
_USUAL_POSITIONS = 512  # where a model has no end
_LENGTHS = ("sequence_length", "encoder_sequence_length", "decoder_sequence_length")
# Inputs that a program may leave out, as PyTorch's own models do.
_OPTIONAL = ("token_type_ids", "position_ids")

# Besides the traced size: the smallest and one longer than traced, each alone. What lies between is in combinations.
_SIZES: dict[str, tuple[int, ...]] = {
    "batch_size": (1, 3),
    "sequence_length": (1, 37),
    "num_choices": (2, 5),
    "past_sequence_length": (0, 1),
    "encoder_sequence_length": (1, 37),
    "decoder_sequence_length": (1, 37),
    "audio_sequence_length": (12_345, 24_000),
    "nb_max_frames": (1, 1_001),
}
_IMAGE_ARGUMENTS = ("image_height", "image_width", "height", "width")
_IMAGE_STEP = 32
_IMAGE_ODD = 3  # images in use are no multiple of what a model divides them by

# Shapes and paddings met together in use. Arguments that a model does not have are left out.
_COMBINATIONS: tuple[tuple[Mask, dict[str, int]], ...] = (
    (Mask.NONE, {"batch_size": 1, "sequence_length": 1, "past_sequence_length": 0, "encoder_sequence_length": 1}),
    (Mask.NONE, {"batch_size": 1, "sequence_length": 23, "past_sequence_length": 0, "encoder_sequence_length": 21}),
    (Mask.LEFT, {"batch_size": 3, "sequence_length": 7, "past_sequence_length": 0, "encoder_sequence_length": 13}),
    (Mask.MIXED, {"batch_size": 3, "sequence_length": 21, "past_sequence_length": 5, "encoder_sequence_length": 37}),
    (Mask.LEFT, {"batch_size": 2, "sequence_length": 13, "past_sequence_length": 1, "encoder_sequence_length": 7}),
    (Mask.LEFT, {"batch_size": 3, "sequence_length": 2, "past_sequence_length": 21, "encoder_sequence_length": 16}),
    (Mask.NONE, {"batch_size": 1, "sequence_length": 1, "past_sequence_length": 37, "encoder_sequence_length": 5}),
)
_MAX_USER_COMBINATIONS = 16
MIN_CASES = 8


@dataclass(frozen=True)
class CaseSpec:
    """One case: arguments of ``generate_dummy_inputs``; ``varied`` names the one that departs from the base.

    An ``is_extra`` case that PyTorch itself does not take is passed over. PyTorch is not given the input ``left_out``,
    and the file is given the values that it has then.
    """

    id: str
    padding: Mask
    seed: int
    shapes: dict[str, int] = field(default_factory=dict)
    varied: str | None = None
    is_extra: bool = False
    left_out: str | None = None
    origin: CaseOrigin = CaseOrigin.GRID

    def arrays(self, onnx_config: OnnxConfig) -> Arrays:
        """Inputs by ONNX name; the same in any process."""
        padding = Mask.RIGHT if self.padding is Mask.EMPTY_ROW else self.padding
        arrays = onnx_config.generate_dummy_inputs("np", seed=self.seed, padding=padding, **self.shapes)
        if self.padding is Mask.EMPTY_ROW:
            arrays["attention_mask"] = arrays["attention_mask"].copy()
            arrays["attention_mask"][-1] = 0
        if self.left_out is not None:
            arrays[self.left_out] = _usual_values(self.left_out, arrays)
        return arrays


# A case, its inputs, and the texts that they come from.
GivenCase = tuple[CaseSpec, Arrays, list[str]]


def _usual_values(name: str, arrays: Arrays) -> np.ndarray[Any, Any]:
    """One segment for all tokens; positions that count on from the past."""
    if name != "position_ids":
        return np.zeros_like(arrays[name])
    length = arrays[name].shape[-1]
    past = arrays["attention_mask"].shape[-1] - length if "attention_mask" in arrays else 0
    return np.broadcast_to(np.arange(past, past + length), arrays[name].shape).copy()


def plan_cases(
    onnx_config: OnnxConfig, *, seed: int, extra: Mapping[str, list[int]] | None = None, parameters: int | None = None
) -> list[CaseSpec]:
    """Plan the grid of one component: the traced shape, every dynamic axis varied alone, then combinations.

    ``extra`` are further sizes by argument (``shapes`` of ``onnx-export.yaml``): each alone, then all combined.
    With the model's number of ``parameters`` also the longest texts that the budgets allow, and optional inputs left
    out.
    Deterministic: the same configuration and seed give the same cases.
    """
    extra = extra or {}
    arguments = _variable_arguments(onnx_config, extra)
    masked = any(name.endswith("mask") for name in onnx_config.inputs)
    usual = Mask.RIGHT if masked else Mask.NONE
    specs = [CaseSpec("base", usual, seed, origin=CaseOrigin.BASE)]
    for argument, sizes in arguments.items():
        specs += [CaseSpec(f"{argument}={size}", usual, seed + 1, {argument: size}, argument) for size in sizes]
    specs += _combinations(arguments, onnx_config.shape_limits(), masked, seed + 2)
    if "batch_size" in arguments and _is_read_at_once(onnx_config):
        specs.append(CaseSpec("empty row", Mask.EMPTY_ROW, seed, {"batch_size": 3}, is_extra=True))
    specs += _user_combinations(extra, arguments, seed + 3)
    cases = _distinct(specs, onnx_config)
    cases += _further_values(cases, seed + 4)
    if parameters is not None:
        longest = _longest(onnx_config, arguments, parameters, seed + 5)
        cases += [spec for spec in _distinct([*cases, *longest], onnx_config) if spec not in cases]
        cases += _left_out(onnx_config, seed + 6)
    return cases


def _left_out(onnx_config: OnnxConfig, seed: int) -> list[CaseSpec]:
    """Optional inputs that are not given; positions of several kinds (of text and image) have no usual values."""
    arrays = onnx_config.generate_dummy_inputs("np", padding="none")
    return [
        CaseSpec(f"without {name}", Mask.NONE, seed, is_extra=True, left_out=name)
        for name in _OPTIONAL
        if name in arrays and (name != "position_ids" or arrays[name].ndim == 2)  # noqa: PLR2004
    ]


def _longest(onnx_config: OnnxConfig, arguments: Mapping[str, list[int]], parameters: int, seed: int) -> list[CaseSpec]:
    """The longest text in one go and, of a decoder with a cache, one token after the longest past."""
    sizes = LongestText.of(onnx_config, parameters)
    one_row = {"batch_size": 1} if "batch_size" in arguments else {}
    specs = [
        CaseSpec(
            f"maximum length: {argument} {size} of {positions}",
            Mask.NONE,
            seed,
            {**one_row, argument: size, **({"past_sequence_length": 0} if "past_sequence_length" in arguments else {})},
            is_extra=True,
        )
        for argument in _text_lengths(arguments)
        for size, positions in [sizes.text(argument)]
        if size > max(arguments[argument])
    ]
    if {"past_sequence_length", "sequence_length"} <= arguments.keys():
        past, positions = sizes.past()
        shapes = {**one_row, "past_sequence_length": past, "sequence_length": 1}
        if past > max(arguments["past_sequence_length"]):
            specs.append(CaseSpec(f"maximum past: {past} of {positions}", Mask.NONE, seed, shapes, is_extra=True))
    return specs


def _number(config: NormalizedConfig, name: str, usual: int) -> int:
    """A size that the configuration names once; some have one for each layer."""
    value = config.get(name, usual)
    return value if isinstance(value, int) and value > 0 else usual


def _text_lengths(arguments: Iterable[str]) -> list[str]:
    """The lengths to stretch: that of all texts where there is one, else each."""
    lengths = [argument for argument in _LENGTHS if argument in arguments]
    return lengths[:1] if "sequence_length" in lengths else lengths


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
        """Read off the model's configuration."""
        config = onnx_config.normalized_config
        hidden, layers = _number(config, "hidden_size", 1024), _number(config, "num_layers", 12)
        scores_words = 1 in onnx_config.outputs.get("logits", {})
        vocabulary = _number(config, "vocab_size", 0) if scores_words else 0
        return cls(
            limits=onnx_config.shape_limits(),
            positions=_number(config, "max_position_embeddings", _USUAL_POSITIONS),
            parameters=max(parameters, 1),
            heads=_number(config, "num_attention_heads", 12),
            bytes_per_token=4 * (6 * vocabulary + 20 * hidden),  # logits on both sides, and what their metrics copy
            cache_bytes_per_token=4 * 2 * layers * hidden,
        )

    def text(self, argument: str) -> tuple[int, int]:
        """The length to try and the length that the model has."""
        limit = self.limits.get(argument, ShapeLimit())
        positions = self.positions if limit.maximum is None else limit.maximum
        attention = 2 * 4 * self.heads
        half = self.bytes_per_token / (2 * attention)
        within_memory = int((half**2 + MEMORY_BUDGET / attention) ** 0.5 - half)
        return limit.clip(min(positions, within_memory, WORK_BUDGET // self.parameters)), positions

    def past(self) -> tuple[int, int]:
        """The past to try and the longest that leaves room for a token."""
        limit = self.limits.get("past_sequence_length", ShapeLimit())
        positions = (self.positions if limit.maximum is None else limit.maximum + 1) - 1
        within_memory = MEMORY_BUDGET // (8 * max(self.cache_bytes_per_token, 1))
        return limit.clip(min(positions, within_memory)), positions


def _is_read_at_once(onnx_config: OnnxConfig) -> bool:
    """Whether the text is read in both directions, where a row without a token has nothing to attend to."""
    return (
        onnx_config.kind in (ComponentKind.MODEL, ComponentKind.ENCODER)
        and {"input_ids", "attention_mask"} <= (set(onnx_config.inputs))
        and not any(name.startswith("past_key_values.") for name in onnx_config.inputs)
    )


def _further_values(cases: list[CaseSpec], seed: int) -> list[CaseSpec]:
    """A model of few dynamic axes (an image of one size) meets other values, one row at a time where it can."""
    smallest = next((case for case in cases if case.shapes == {"batch_size": 1}), cases[0])
    return [
        replace(smallest, id=f"values {number + 1}", seed=seed + number, varied=None)
        for number in range(MIN_CASES - len(cases))
    ]


def axis_sizes(axes: Mapping[str, Mapping[int, str]], arrays: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, int]:
    """Size of every named axis in these arrays."""
    return {
        name: int(arrays[tensor].shape[axis])
        for tensor, named in axes.items()
        if tensor in arrays
        for axis, name in named.items()
    }


def _variable_arguments(onnx_config: OnnxConfig, extra: Mapping[str, list[int]]) -> dict[str, list[int]]:
    base = onnx_config.generate_dummy_inputs("np", padding="none")
    limits = onnx_config.shape_limits()
    arguments: dict[str, list[int]] = {}
    for argument, default in asdict(onnx_config.dummy_shapes()).items():
        limit = limits.get(argument, ShapeLimit())
        sizes = [limit.clip(size) for size in _sizes(argument, default)] + extra.get(argument, [])
        varied = [
            size
            for size in dict.fromkeys(sizes)
            if size != default and _varies(onnx_config, base, argument, size, required=size in extra.get(argument, []))
        ]
        if varied:
            arguments[argument] = varied
    return arguments


def _sizes(argument: str, default: int) -> tuple[int, ...]:
    if argument in _SIZES:
        return _SIZES[argument]
    if argument in _IMAGE_ARGUMENTS:
        step = min(_IMAGE_STEP, max(1, default // 4))
        return (default + step, max(1, default - step - _IMAGE_ODD))
    return (1, default + 1)


def _varies(onnx_config: OnnxConfig, base: Arrays, argument: str, size: int, *, required: bool) -> bool:
    """Whether inputs change with this argument, along dynamic axes only."""
    try:
        changed = onnx_config.generate_dummy_inputs("np", padding="none", **{argument: size})
    except ExportError:
        if required:  # the user asked for this size: it is theirs to know that the model does not take it
            raise
        return False
    differing = [
        (name, axis)
        for name, array in changed.items()
        for axis, (old, new) in enumerate(zip(base[name].shape, array.shape, strict=True))
        if old != new
    ]
    return bool(differing) and all(axis in onnx_config.inputs.get(name, {}) for name, axis in differing)


def _combinations(
    arguments: Mapping[str, list[int]], limits: Mapping[str, ShapeLimit], masked: bool, seed: int
) -> list[CaseSpec]:
    specs = []
    for number, (padding, shapes) in enumerate(_COMBINATIONS):
        chosen = {
            argument: limits.get(argument, ShapeLimit()).clip(size)
            for argument, size in shapes.items()
            if argument in arguments
        }
        for argument, sizes in arguments.items():
            chosen.setdefault(argument, sizes[number % len(sizes)])
        kind = padding if masked else Mask.NONE
        named = ",".join(f"{argument}={size}" for argument, size in chosen.items())
        specs.append(CaseSpec(f"{kind}:{named}", kind, seed + number, chosen))
    return specs


def _user_combinations(extra: Mapping[str, list[int]], arguments: Mapping[str, list[int]], seed: int) -> list[CaseSpec]:
    wanted = {argument: sizes for argument, sizes in extra.items() if argument in arguments}
    if len(wanted) < 2:  # noqa: PLR2004 - one argument alone is already varied alone
        return []
    products = itertools.islice(itertools.product(*wanted.values()), _MAX_USER_COMBINATIONS)
    return [
        CaseSpec(
            "shapes: " + ",".join(f"{a}={s}" for a, s in zip(wanted, sizes, strict=True)),
            Mask.NONE,
            seed,
            dict(zip(wanted, sizes, strict=True)),
            origin=CaseOrigin.USER,
        )
        for sizes in products
    ]


def _distinct(specs: Iterable[CaseSpec], onnx_config: OnnxConfig) -> list[CaseSpec]:
    """Drop cases that are too long for the model, and those whose shapes and padding were there already."""
    seen: set[tuple[object, ...]] = set()
    distinct = []
    for spec in specs:
        try:
            shapes = tuple((name, array.shape) for name, array in spec.arrays(onnx_config).items())
        except ExportError:
            if spec.origin is CaseOrigin.USER:
                raise
            continue
        if (shapes, spec.padding) not in seen:
            seen.add((shapes, spec.padding))
            distinct.append(spec)
    return distinct
