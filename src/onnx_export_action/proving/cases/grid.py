"""The grid of inputs: shapes, masks, past lengths. Planned for any configuration class, registered or a user's own.

Which shape arguments matter is found by trial: an argument belongs to the grid when changing it changes inputs only
along axes that the configuration declares dynamic. So an axis that is declared is an axis that is varied.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.shapes import ShapeLimit
from onnx_export_action.proving.arrays import Arrays
from onnx_export_action.proving.cases.lengths import WORK_BUDGET, long_cases
from onnx_export_action.proving.cases.meanings import meanings_of
from onnx_export_action.proving.cases.specs import CaseSpec
from onnx_export_action.proving.records import CaseOrigin
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.names.components import ComponentKind
from onnx_export_action.vocabulary.results import Padding

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
_COMBINATIONS: tuple[tuple[Padding, dict[str, int]], ...] = (
    (Padding.NONE, {"batch_size": 1, "sequence_length": 1, "past_sequence_length": 0, "encoder_sequence_length": 1}),
    (Padding.NONE, {"batch_size": 1, "sequence_length": 23, "past_sequence_length": 0, "encoder_sequence_length": 21}),
    (Padding.LEFT, {"batch_size": 3, "sequence_length": 7, "past_sequence_length": 0, "encoder_sequence_length": 13}),
    (Padding.MIXED, {"batch_size": 3, "sequence_length": 21, "past_sequence_length": 5, "encoder_sequence_length": 37}),
    (Padding.LEFT, {"batch_size": 2, "sequence_length": 13, "past_sequence_length": 1, "encoder_sequence_length": 7}),
    (Padding.LEFT, {"batch_size": 3, "sequence_length": 2, "past_sequence_length": 21, "encoder_sequence_length": 16}),
    (Padding.NONE, {"batch_size": 1, "sequence_length": 1, "past_sequence_length": 37, "encoder_sequence_length": 5}),
)
_MAX_USER_COMBINATIONS = 16
_MANY_ROWS, _SHORT = (5, 17, 8, 4, 9), 2  # the most telling first
_MOST_ELEMENTS = 2**15  # of all inputs of a row, for batches of many rows
MIN_CASES = 8


def plan_cases(
    onnx_config: OnnxConfig, *, seed: int, extra: Mapping[str, list[int]] | None = None, parameters: int | None = None
) -> list[CaseSpec]:
    """Plan the grid of one component: the traced shape, every dynamic axis varied alone, then combinations.

    ``extra`` are further sizes by argument (``shapes`` of ``onnx-export.yaml``): each alone, then all combined.
    With the number of ``parameters`` at work also what is long, within budgets, and optional inputs left out.
    Deterministic: the same configuration and seed give the same cases.
    """
    extra = extra or {}
    arguments = _variable_arguments(onnx_config, extra)
    masked = any(name.endswith("mask") for name in onnx_config.inputs)
    usual = Padding.RIGHT if masked else Padding.NONE
    specs = [CaseSpec("base", usual, seed, origin=CaseOrigin.BASE)]
    for argument, sizes in arguments.items():
        specs += [CaseSpec(f"{argument}={size}", usual, seed + 1, {argument: size}, argument) for size in sizes]
    specs += _combinations(arguments, onnx_config.shape_limits(), masked, seed + 2)
    if "batch_size" in arguments and _is_read_at_once(onnx_config):
        specs.append(CaseSpec("empty row", Padding.EMPTY_ROW, seed, {"batch_size": 3}, is_extra=True))
    specs += _user_combinations(extra, arguments, seed + 3)
    cases = _distinct(specs, onnx_config)
    cases += _further_values(cases, seed + 4)
    cases += _meanings(onnx_config, seed + 7)
    if parameters is not None:
        longest = long_cases(onnx_config, arguments, parameters, seed + 5)
        cases += [spec for spec in longest if _fits(spec, onnx_config)]
        cases += _left_out(onnx_config, seed + 6)
        cases += _many_rows(onnx_config, arguments, parameters, seed + 8)
    return cases


def _meanings(onnx_config: OnnxConfig, seed: int) -> list[CaseSpec]:
    """One case for each thing that inputs of these names can say."""
    base = onnx_config.generate_dummy_inputs("np", padding="none")
    return [
        CaseSpec(meaning.value, Padding.NONE, seed, meaning=meaning, is_extra=True) for meaning in meanings_of(base)
    ]


def _many_rows(
    onnx_config: OnnxConfig, arguments: Mapping[str, list[int]], parameters: int, seed: int
) -> list[CaseSpec]:
    """Batches of many short rows, as many of them as little work allows."""
    if "batch_size" not in arguments:
        return []
    limits = onnx_config.shape_limits()
    short = {
        name: limits.get(name, ShapeLimit()).clip(_SHORT)
        for name in arguments
        if name.endswith("sequence_length") and "audio" not in name
    }
    row = onnx_config.generate_dummy_inputs("np", padding="none", **{**short, "batch_size": 1})
    if not short or sum(array.size for array in row.values()) > _MOST_ELEMENTS:
        return []
    padding = Padding.MIXED if "attention_mask" in row else Padding.NONE
    work = itertools.accumulate(parameters * rows * _SHORT for rows in _MANY_ROWS)
    return [
        CaseSpec(f"{rows} rows", padding, seed + rows, {**short, "batch_size": rows}, is_extra=True)
        for rows, spent in zip(_MANY_ROWS, work, strict=True)
        if rows not in arguments["batch_size"] and spent <= WORK_BUDGET // 4
    ]


def _fits(spec: CaseSpec, onnx_config: OnnxConfig) -> bool:
    """Whether the model takes such sizes; the inputs themselves would take a while to make."""
    try:
        onnx_config.dummy_shapes(**spec.shapes)
    except ExportError:
        return False
    return True


def _left_out(onnx_config: OnnxConfig, seed: int) -> list[CaseSpec]:
    """Optional inputs that are not given; positions of several kinds (of text and image) have no usual values."""
    arrays = onnx_config.generate_dummy_inputs("np", padding="none")
    return [
        CaseSpec(f"without {name}", Padding.NONE, seed, is_extra=True, left_out=name)
        for name in _OPTIONAL
        if name in arrays and (name != "position_ids" or arrays[name].ndim == 2)  # noqa: PLR2004
    ]


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
        kind = padding if masked else Padding.NONE
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
            Padding.NONE,
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
