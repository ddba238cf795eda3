"""What kind of thing is wrong with a file that differs: its axes, mask, past, names or values, or the file itself.

Two sources: which cases fail and which pass (:func:`_explaining_property`), and a few further runs of the file alone,
such as the same case twice, or with other content where the mask says padding. Runs on failures only; numpy alone.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np

from onnx_export_action.proving.arrays import Arrays
from onnx_export_action.proving.measures.positions import valid_positions
from onnx_export_action.proving.measures.tolerance import Tolerance
from onnx_export_action.proving.records import PADDING_COUNTS, CaseOrigin, CaseRecord, ComponentRecord
from onnx_export_action.vocabulary.names.axes import atomic_axes
from onnx_export_action.vocabulary.names.components import DECODER_WITH_PAST
from onnx_export_action.vocabulary.results import STOPS, CaseProblem, CaseResult, Cause, Verdict

_CACHE = ("present.", "past_key_values.")
_LEAD = 0.2
_SURE = 0.6
_HIGH = 0.85  # of the largest token id
_ONES_ENOUGH = 3  # failing cases that are looked at more closely


@dataclass(frozen=True)
class Diagnosis:
    """The kind of cause and a sentence for the person who looks for it."""

    cause: Cause
    hint: str


@dataclass(frozen=True)
class Tried:
    """One case, what came of it, its inputs, and how to read PyTorch's outputs (large ones are not kept in memory)."""

    record: ComponentRecord
    case: CaseRecord
    checked: CaseResult
    inputs: Arrays
    read_expected: Callable[[], Arrays]

    @cached_property
    def expected(self) -> Arrays:
        """What PyTorch gives."""
        return self.read_expected()

    @property
    def failed(self) -> bool:
        """Whether the file is wrong in this case, or does not run it."""
        return self.checked.verdict is not Verdict.PASS

    @property
    def stopped(self) -> bool:
        """Whether the runtime gave an error."""
        return self.checked.problem in STOPS


@dataclass(frozen=True)
class File:
    """The file under examination: how to run it, and what it may differ by."""

    run: Callable[[ComponentRecord, Arrays], Arrays]
    tolerances: Mapping[str, Tolerance]
    random_operators: Sequence[str] = field(default=())

    def differs(self, name: str, expected: np.ndarray[Any, Any], found: np.ndarray[Any, Any], valid: Any) -> bool:
        """Whether two arrays of an output differ by more than its tolerance at valid positions."""
        if expected.shape != found.shape:
            return True
        tolerance = self.tolerances[name]
        first, second = (array.astype(np.float64) for array in (expected, found))
        apart = ~np.isclose(second, first, atol=tolerance.atol, rtol=tolerance.rtol, equal_nan=True)
        # An output of another shape than PyTorch's has no valid positions that are known.
        fits = valid is not None and valid.ndim == apart.ndim
        fits = fits and all(size in (1, other) for size, other in zip(valid.shape, apart.shape, strict=True))
        some_apart = bool((apart & valid if fits else apart).any())
        if some_apart or tolerance.rms is None or apart.size == 0:
            return some_apart
        with np.errstate(invalid="ignore"):  # the difference of two infinities
            error = np.nan_to_num((second - first) * valid if fits else second - first)
        return float(np.sqrt(np.mean(np.square(error)))) > tolerance.rms


def diagnose(tried: Sequence[Tried], file: File) -> Diagnosis:
    """The most telling explanation of the failing cases among ``tried``; there is at least one."""
    # What fails on usual inputs is explained by these: odd ones fail with it for any reason.
    usual = [one for one in tried if one.case.meaning is None]
    tried = usual if any(one.failed for one in usual) else tried
    failing = [one for one in tried if one.failed]
    looked_at = [one for one in failing if not one.stopped][:_ONES_ENOUGH]
    answers = [(one, file.run(one.record, one.inputs)) for one in looked_at]
    return (
        _not_repeatable(answers, file)
        or _exchanged_outputs(answers, file)
        or _wrong_shapes(tried)
        or _explaining_property(tried)
        or _stopping_everywhere(failing)
        or _rows_that_mix(tried, file)
        or _padding_that_counts(tried, file)
        or _cache_outputs_alone(answers, file)
        or _values(tried)
    )


def _valid(one: Tried, name: str) -> np.ndarray[Any, Any] | None:
    return valid_positions(one.inputs, one.expected[name], one.record.outputs[name].axes, one.record.inputs)


def _not_repeatable(answers: Sequence[tuple[Tried, Arrays]], file: File) -> Diagnosis | None:
    for one, found in answers:
        again = file.run(one.record, one.inputs)
        if any(file.differs(name, found[name], again[name], _valid(one, name)) for name in found):
            named = f": {', '.join(file.random_operators)}" if file.random_operators else ""
            return Diagnosis(
                Cause.VALUES,
                f"two runs on the same inputs give different values: a random operator or dropout is left on{named}",
            )
    return None


def _exchanged_outputs(answers: Sequence[tuple[Tried, Arrays]], file: File) -> Diagnosis | None:
    """Outputs that hold, in every case looked at, what PyTorch gives as another."""
    exchanges = [set(_exchanges(one, found, file)) for one, found in answers]
    always = sorted(set.intersection(*exchanges)) if exchanges else []
    if not always:
        return None
    name, other = always[0]
    cache = name.startswith(_CACHE) and other.startswith(_CACHE)
    hint = f"output {name} holds what PyTorch gives as {other}: outputs are exchanged"
    return Diagnosis(Cause.PAST if cache else Cause.NAMES, f"{hint} in the cache" if cache else hint)


def _exchanges(one: Tried, found: Arrays, file: File) -> Iterator[tuple[str, str]]:
    for name, array in found.items():
        if not file.differs(name, one.expected[name], array, _valid(one, name)):
            continue
        for other, expected in one.expected.items():
            if other != name and not file.differs(other, expected, array, _valid(one, other)):
                yield name, other


# --- which property of the cases explains which fail ------------------------------------------------------------------


@dataclass(frozen=True)
class _Property:
    """Something that a case has or has not, and what it would mean if just the cases that have it fail.

    At least ``least_share`` of the cases that have it must fail. A mask or a past is one thing and takes the ``lead``;
    a size has many values, of which one often nearly separates the cases by chance.
    """

    cause: Cause
    words: str
    holds: Callable[[Tried], bool]
    least_share: float = 1.0
    lead: float = 0.0


def _explaining_property(tried: Sequence[Tried]) -> Diagnosis | None:
    """The property that every failing case has and that the fewest passing cases have; the first of equals."""
    failing, passing = [one for one in tried if one.failed], [one for one in tried if not one.failed]
    if not passing:
        return None
    best, best_rank = None, (0.0, 0.0)
    for candidate in _properties(tried, failing):
        if not all(map(candidate.holds, failing)) or all(map(candidate.holds, passing)):
            continue
        share = len(failing) / (len(failing) + sum(map(candidate.holds, passing)))
        rank = (share + candidate.lead, share)
        if share >= candidate.least_share and rank > best_rank:
            best, best_rank = candidate, rank
    if best is None:
        return None
    only = "just the cases that fail have" if best_rank[1] == 1 else "every case that fails has"
    return Diagnosis(best.cause, f"{only} {best.words}")


def _properties(tried: Sequence[Tried], failing: Sequence[Tried]) -> Iterator[_Property]:
    one_thing = partial(_Property, least_share=_SURE, lead=_LEAD)
    mask = partial(one_thing, Cause.MASK)
    yield mask("a row that the mask rules out whole: what it gives must stay finite", _has_empty_row)
    yield mask("padding before a token: the mask, or the positions counted from it, are wrong", _is_padded_left)
    yield mask("padding at the end of a row: the mask is ignored or misread there", _is_padded_right)
    yield mask("padding: the mask is ignored or misread", _is_padded)
    yield mask("no padding: the mask is misread", lambda one: not _is_padded(one))
    past = partial(one_thing, Cause.PAST)
    yield past("a past: the keys and values of earlier tokens are used wrongly", lambda one: _past_length(one) > 0)
    yield past("no past: the file works with a cache only", lambda one: _past_length(one) == 0)
    names = sorted({one.record.name for one in tried})
    for name in names if len(names) > 1 else ():
        yield _Property(_branch_cause(name), f"the inputs of {name}", _is_of(name))
    yield from _size_properties(tried, failing)
    yield from _token_properties(tried, failing)


def _branch_cause(name: str) -> Cause:
    return Cause.PAST if name == DECODER_WITH_PAST else Cause.VALUES


def _size_properties(tried: Sequence[Tried], failing: Sequence[Tried]) -> Iterator[_Property]:
    # Axes before sums of them, such as all tokens, past and new.
    axes = sorted({axis for one in tried for axis in one.case.shape}, key=lambda axis: (len(atomic_axes(axis)), axis))
    base = next((one for one in tried if one.case.origin is CaseOrigin.BASE), tried[0])
    for axis in axes:
        sizes = [one.case.shape[axis] for one in failing if axis in one.case.shape]
        if not sizes:
            continue
        is_past = axis.startswith("past") and len(atomic_axes(axis)) == 1
        cause = Cause.PAST if is_past else Cause.AXIS
        least, most, usual = min(sizes), max(sizes), base.case.shape.get(axis)
        passing = max((one.case.shape.get(axis, 0) for one in tried if not one.failed), default=0)
        if passing > 1 or is_past or axis.startswith("batch"):
            yield _Property(cause, f"{axis} of {least} or more", _has_size(axis, partial(operator.le, least)))
        elif least > 1:
            alone = f"{axis} of more than 1: one position alone is right, so it is wrong where positions meet"
            yield _Property(Cause.VALUES, alone, _has_size(axis, partial(operator.le, least)))
        yield _Property(cause, f"{axis} of {most} or less", _has_size(axis, partial(operator.ge, most)))
        another = f"another {axis} than {usual}: it is fixed inside the graph"
        yield _Property(cause, another, _has_size(axis, partial(operator.ne, usual)))
    yield _Property(
        Cause.AXIS,
        "other sizes than those of the export: an axis is fixed inside the graph",
        lambda one: any(one.case.shape.get(axis) != size for axis, size in base.case.shape.items() if axis in axes),
    )


def _token_properties(tried: Sequence[Tried], failing: Sequence[Tried]) -> Iterator[_Property]:
    least, largest = min(map(_largest_id, failing)), max(map(_largest_id, tried))
    # Any case of many tokens holds an id of middling size.
    if least > _HIGH * largest:
        yield _Property(Cause.VALUES, f"a token id of {least} or more", lambda one: _largest_id(one) >= least)


def _is_of(name: str) -> Callable[[Tried], bool]:
    return lambda one: one.record.name == name


def _has_size(axis: str, wanted: Callable[[int], bool]) -> Callable[[Tried], bool]:
    return lambda one: axis in one.case.shape and wanted(one.case.shape[axis])


def _largest_id(one: Tried) -> int:
    ids = (array for name, array in one.inputs.items() if name.endswith("input_ids"))
    return max((int(array.max(initial=0)) for array in ids), default=0)


def _past_length(one: Tried) -> int:
    lengths = (size for axis, size in one.case.shape.items() if axis.startswith("past") and "+" not in axis)
    return max(lengths, default=0)


def _masks(one: Tried) -> list[np.ndarray[Any, Any]]:
    """Masks over positions, each (batch, length)."""
    return [a for name, a in one.inputs.items() if name.endswith("attention_mask") and a.ndim == 2]  # noqa: PLR2004


def _is_padded(one: Tried) -> bool:
    return any((mask == 0).any() for mask in _masks(one))


def _is_padded_left(one: Tried) -> bool:
    return any((np.diff((mask != 0).astype(np.int8), axis=1) > 0).any() for mask in _masks(one))


def _is_padded_right(one: Tried) -> bool:
    return any((mask[:, -1:] == 0).any() for mask in _masks(one))


def _has_empty_row(one: Tried) -> bool:
    return any((mask == 0).all(axis=1).any() for mask in _masks(one) if mask.shape[1])


# --- every case fails -------------------------------------------------------------------------------------------------


def _wrong_shapes(tried: Sequence[Tried]) -> Diagnosis | None:
    failing = [one for one in tried if one.failed]
    if not all(one.checked.problem is CaseProblem.SHAPE for one in failing):
        return None
    found = _explaining_property(tried)
    if found is not None and found.cause is Cause.PAST:
        return found
    first = failing[0]
    return Diagnosis(Cause.AXIS, f"an output has another shape than PyTorch's in the case {first.case.id}")


def _stopping_everywhere(failing: Sequence[Tried]) -> Diagnosis | None:
    if not all(one.stopped for one in failing):
        return None
    if any(one.checked.problem is CaseProblem.STOPPED_OVER_SIZES for one in failing):
        return Diagnosis(Cause.AXIS, "the runtime stops over sizes that do not fit: an axis is fixed inside the graph")
    return Diagnosis(Cause.FILE, "the runtime loads the file but cannot run it")


def _rows_that_mix(tried: Sequence[Tried], file: File) -> Diagnosis | None:
    """Exchange the last row of a batch for the first: what the first row gives must not move."""
    for one in [one for one in tried if one.failed and not one.stopped and _is_plain_batch(one)][:_ONES_ENOUGH]:
        others = {name: np.concatenate([array[:-1], array[:1]]) for name, array in one.inputs.items()}
        before, after = file.run(one.record, one.inputs), file.run(one.record, others)
        by_row = [name for name, output in one.record.outputs.items() if output.axes.get(0) == _batch_name(one)]
        if any(file.differs(name, before[name][:1], after[name][:1], None) for name in by_row):
            return Diagnosis(Cause.AXIS, "a row's answer changes with the other rows of its batch: they are mixed")
    return None


def _batch_name(one: Tried) -> str | None:
    return next(iter(one.record.inputs.values()), {}).get(0)


def _is_plain_batch(one: Tried) -> bool:
    """Whether the first axis of every input is the batch, of several rows."""
    name = _batch_name(one)
    named = all(axes.get(0) == name for axes in one.record.inputs.values())
    return named and name is not None and one.case.shape.get(name, 1) > 1 and not _has_empty_row(one)


def _padding_that_counts(tried: Sequence[Tried], file: File) -> Diagnosis | None:
    """Give other content where the mask says padding: outputs at valid positions must not move.

    Outputs without positions are left alone: a model may pool at a position that is padding, or look for the padding
    token itself. PyTorch's own answer tells more there (:mod:`.divergence`).
    """
    padded = [one for one in tried if _is_padded(one) and not one.stopped and not _has_empty_row(one)]
    # Positions counted from the tokens themselves move with padding on the left: padding on the right tells more.
    on_the_left = [one for one in padded if _is_padded_left(one)]
    on_the_right = [one for one in padded if not _is_padded_left(one)]
    for one in on_the_right[:_ONES_ENOUGH] + on_the_left[:_ONES_ENOUGH]:
        changed = with_other_padding(one.record, one.inputs)
        by_position = [name for name in one.expected if _valid(one, name) is not None]
        if changed is None or not by_position:
            continue
        before, after = file.run(one.record, one.inputs), file.run(one.record, changed)
        if any(file.differs(name, before[name], after[name], _valid(one, name)) for name in by_position):
            return Diagnosis(Cause.MASK, PADDING_COUNTS)
    return None


def with_other_padding(record: ComponentRecord, inputs: Arrays) -> Arrays | None:
    """The inputs with other content at padded positions; None where nothing is padded."""
    changed: Arrays = {}
    for name, array in inputs.items():
        if name.endswith(("mask", "position_ids", "token_type_ids")) or array.size == 0:
            continue
        valid = valid_positions(inputs, array, record.inputs.get(name, {}), record.inputs)
        if valid is not None:
            other = np.roll(array, 1, axis=-1) if array.dtype.kind in "iu" else array + 1
            changed[name] = np.where(valid, array, other).astype(array.dtype)
    return {**inputs, **changed} if changed else None


def _cache_outputs_alone(answers: Sequence[tuple[Tried, Arrays]], file: File) -> Diagnosis | None:
    wrong = {
        name
        for one, found in answers
        for name, array in found.items()
        if file.differs(name, one.expected[name], array, _valid(one, name))
    }
    if wrong and all(name.startswith(_CACHE) for name in wrong):
        return Diagnosis(Cause.PAST, f"only the cache is wrong: {', '.join(sorted(wrong)[:4])}")
    return None


def _values(tried: Sequence[Tried]) -> Diagnosis:
    failing = sum(one.failed for one in tried)
    if failing == len(tried):
        return Diagnosis(Cause.VALUES, "every case fails: the values are wrong, whatever the shape")
    return Diagnosis(Cause.VALUES, "cases fail whatever their shape and padding: some values are wrong")
