"""Errors between what PyTorch and ONNX Runtime gave, over valid positions; NaN and Inf must agree in place."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, replace

import numpy as np

from onnx_export_action.proving.arrays import Array
from onnx_export_action.proving.measures.agreement import Agreement, agreement_of
from onnx_export_action.proving.measures.tolerance import Tolerance
from onnx_export_action.vocabulary.results import CaseProblem

_QUANTILE_SAMPLE = 100_000
_DOT_PIECE = 1024
_MOST_PLACES = 5


@dataclass(frozen=True)
class Element:
    """One number of an output: where it stands, and what both sides say. ``case`` is the case's id."""

    index: tuple[int, ...]
    reference: float
    candidate: float
    case: str = ""


@dataclass(frozen=True)
class OtherKind:
    """An output of another shape or type than PyTorch's."""

    problem: CaseProblem
    expected: str
    found: str


@dataclass(frozen=True)
class Comparison:
    """One output in one case. ``margin`` above 1, a NaN mismatch or an ``other_kind`` is a failure.

    ``element_margin`` is that of single values, ``margin`` also of their root mean square error ``rms_abs``. The
    ``worst`` element is the one with the largest margin; ``nan_places`` are the first places of those that mismatch.
    """

    margin: float
    max_abs: float
    rms_abs: float = 0.0
    element_margin: float = math.inf
    other_kind: OtherKind | None = None
    nan_mismatch: int = 0
    nan_places: tuple[tuple[int, ...], ...] = ()
    padded_max_abs: float | None = None
    mean_abs: float | None = None
    p99_abs: float | None = None
    max_rel: float | None = None
    cosine: float | None = None
    sqnr_db: float | None = None
    agreement: Agreement | None = None
    worst: Element | None = None

    @property
    def problem(self) -> CaseProblem | None:
        """In which way the output is wrong; None where it is right."""
        if self.other_kind is not None:
            return self.other_kind.problem
        if self.nan_mismatch:
            return CaseProblem.NOT_FINITE
        return None if self.margin <= 1.0 else CaseProblem.VALUES

    @property
    def passed(self) -> bool:
        """Whether the output is right."""
        return self.problem is None


@dataclass(frozen=True)
class _Sums:
    """What adds up from case to case: the number of elements, absolute errors, squares and products."""

    elements: int = 0
    absolute: float = 0.0
    error_energy: float = 0.0
    product: float = 0.0
    reference_energy: float = 0.0
    candidate_energy: float = 0.0

    @classmethod
    def of(cls, reference: Array, candidate: Array, error: Array) -> _Sums:
        return cls(
            elements=error.size,
            absolute=float(error.sum(dtype=np.float64)),
            error_energy=_dot(error, error),
            product=_dot(reference, candidate),
            reference_energy=_dot(reference, reference),
            candidate_energy=_dot(candidate, candidate),
        )

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(*(ours + theirs for ours, theirs in zip(astuple(self), astuple(other), strict=True)))

    @property
    def mean_abs(self) -> float | None:
        return self.absolute / self.elements if self.elements else None

    @property
    def cosine(self) -> float | None:
        energy = math.sqrt(self.reference_energy * self.candidate_energy)
        return min(1.0, self.product / energy) if energy else None

    @property
    def sqnr_db(self) -> float | None:
        """None when there is no noise at all, or no signal."""
        if not self.error_energy or not self.reference_energy:
            return None
        return 10.0 * math.log10(self.reference_energy / self.error_energy)


ERROR_DECADES = tuple(10.0**exponent for exponent in range(-12, 4))
"""Bounds of the histogram of errors: below the first, between two, from the last on."""


def count_by_decade(error: Array) -> list[int]:
    """How many of some of the errors (every n-th where there are many) lie between the bounds."""
    sample = error[:: max(1, error.size // _QUANTILE_SAMPLE)]
    places = np.searchsorted(np.asarray(ERROR_DECADES), sample, side="right")
    return [int(count) for count in np.bincount(places, minlength=len(ERROR_DECADES) + 1)]


class OutputMetrics:
    """Collects one output's metrics over all cases; ``counts_argmax`` says that it scores classes."""

    def __init__(self, tolerance: Tolerance, *, counts_argmax: bool) -> None:
        self.tolerance = tolerance
        self._counts_argmax = counts_argmax
        self._sums = _Sums()
        self._rows = self._same_choice = self._rows_of_five = 0
        self._same_five = 0.0
        self.max_abs: float | None = None
        self.max_rms: float | None = None
        self.max_rel: float | None = None
        self.p99_abs: float | None = None
        self.margin: float | None = None
        self.padded_max_abs: float | None = None
        self.worst: Element | None = None
        self.nan_mismatch = 0
        self.error_decades = [0] * (len(ERROR_DECADES) + 1)
        self._worst_margin = -1.0

    def add(self, reference: Array, candidate: Array, valid: Array | None, case: str = "") -> Comparison:
        """Compare one case's arrays; ``valid`` as :func:`valid_positions` gives it."""
        other_kind = _other_kind(reference, candidate)
        if other_kind is not None:
            self.margin = math.inf
            return Comparison(math.inf, math.inf, other_kind=other_kind)
        if reference.size == 0:
            return Comparison(0.0, 0.0)
        comparison = self._compared(_as_float(reference), _as_float(candidate), valid, case)
        self.margin = max(self.margin or 0.0, comparison.margin)
        self.nan_mismatch += comparison.nan_mismatch
        self.padded_max_abs = _larger(self.padded_max_abs, comparison.padded_max_abs)
        if comparison.worst is not None:
            self.max_abs = _larger(self.max_abs, comparison.max_abs)
            self.max_rms = _larger(self.max_rms, comparison.rms_abs)
            self.p99_abs = _larger(self.p99_abs, comparison.p99_abs)
            self.max_rel = _larger(self.max_rel, comparison.max_rel)
            if comparison.element_margin > self._worst_margin:
                self._worst_margin, self.worst = comparison.element_margin, comparison.worst
        self._count(comparison.agreement)
        return comparison

    def _compared(self, reference: Array, candidate: Array, valid: Array | None, case: str) -> Comparison:
        mismatch = _nonfinite_mismatch(reference, candidate)
        padded = _padded_error(reference, candidate, valid)
        agreement = agreement_of(reference, candidate, valid) if self._counts_argmax else None
        known = Comparison(
            margin=0.0,
            max_abs=0.0,
            element_margin=0.0,
            nan_mismatch=0 if mismatch is None else int(mismatch.sum()),
            nan_places=() if mismatch is None else _first_places(mismatch),
            padded_max_abs=padded,
            agreement=agreement,
        )
        chosen = _chosen(reference, candidate, valid)
        ours, theirs = (a.reshape(-1) if chosen is None else a[chosen] for a in (reference, candidate))
        if ours.size == 0:
            return known
        error, magnitude = np.abs(theirs - ours), np.abs(ours)
        sums = _Sums.of(ours, theirs, error)
        self._sums += sums
        self.error_decades = [a + b for a, b in zip(self.error_decades, count_by_decade(error), strict=True)]
        margins = error / (self.tolerance.atol + self.tolerance.rtol * magnitude)
        place = int(margins.argmax())
        element_margin, rms_abs = float(margins[place]), math.sqrt(sums.error_energy / sums.elements)
        # Relative errors of numbers below the absolute tolerance say nothing.
        relative = error / np.where(magnitude > self.tolerance.atol, magnitude, np.inf)
        return replace(
            known,
            margin=max(element_margin, rms_abs / self.tolerance.rms if self.tolerance.rms else 0.0),
            element_margin=element_margin,
            max_abs=float(error.max()),
            rms_abs=rms_abs,
            mean_abs=sums.mean_abs,
            p99_abs=_quantile(error),
            max_rel=float(relative.max()),
            cosine=sums.cosine,
            sqnr_db=sums.sqnr_db,
            worst=Element(_index(place, chosen, reference.shape), float(ours[place]), float(theirs[place]), case),
        )

    def _count(self, agreement: Agreement | None) -> None:
        if agreement is None:
            return
        self._rows += agreement.rows
        self._same_choice += agreement.same_choice
        if agreement.same_five is not None:
            self._rows_of_five += agreement.rows
            self._same_five += agreement.rows * agreement.same_five

    @property
    def mean_abs(self) -> float | None:
        """Mean absolute error over all elements of all cases."""
        return self._sums.mean_abs

    @property
    def cosine(self) -> float | None:
        """Cosine between all reference and all candidate values."""
        return self._sums.cosine

    @property
    def sqnr_db(self) -> float | None:
        """Signal to quantisation noise ratio in dB; None when there is no noise at all."""
        return self._sums.sqnr_db

    @property
    def argmax_agreement(self) -> float | None:
        """Share of rows with the same largest element."""
        return self._same_choice / self._rows if self._rows else None

    @property
    def top5_agreement(self) -> float | None:
        """Share of the five largest elements of each row that are the same, whatever their order."""
        return self._same_five / self._rows_of_five if self._rows_of_five else None


def _larger(known: float | None, new: float | None) -> float | None:
    return new if known is None else known if new is None else max(known, new)


def _padded_error(reference: Array, candidate: Array, valid: Array | None) -> float | None:
    if valid is None:
        return None
    padded = np.broadcast_to(~valid, reference.shape)
    error = np.abs(candidate[padded] - reference[padded])
    finite = error[np.isfinite(error)]
    return float(finite.max(initial=0.0))


def _other_kind(reference: Array, candidate: Array) -> OtherKind | None:
    if reference.shape != candidate.shape:
        return OtherKind(CaseProblem.SHAPE, str(tuple(reference.shape)), str(tuple(candidate.shape)))
    if reference.dtype.kind != candidate.dtype.kind:
        return OtherKind(CaseProblem.DTYPE, str(reference.dtype), str(candidate.dtype))
    return None


def _as_float(array: Array) -> Array:
    if array.dtype in (np.float32, np.float64):
        return array
    return array.astype(np.float64 if array.dtype.kind in "iu" else np.float32)


def _nonfinite_mismatch(reference: Array, candidate: Array) -> Array | None:
    """Places where one is NaN or infinite and the other is not the same; counted over padded positions too."""
    finite_reference, finite_candidate = np.isfinite(reference), np.isfinite(candidate)
    if finite_reference.all() and finite_candidate.all():
        return None
    same_nan = np.isnan(reference) & np.isnan(candidate)
    same_inf = np.isinf(reference) & np.isinf(candidate) & (reference == candidate)
    return np.asarray(~((finite_reference & finite_candidate) | same_nan | same_inf))


def _first_places(mismatch: Array) -> tuple[tuple[int, ...], ...]:
    places = np.flatnonzero(mismatch)[:_MOST_PLACES]
    return tuple(tuple(int(one) for one in np.unravel_index(place, mismatch.shape)) for place in places)


def _chosen(reference: Array, candidate: Array, valid: Array | None) -> Array | None:
    """Which elements count: numbers on both sides, at valid positions; None for all."""
    finite = np.isfinite(reference) & np.isfinite(candidate)
    if valid is not None:
        return finite & valid
    return None if finite.all() else finite


def _index(place: int, chosen: Array | None, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The index in the whole array of the ``place``-th chosen element."""
    flat = place if chosen is None else int(np.flatnonzero(chosen)[place])
    return tuple(int(one) for one in np.unravel_index(flat, shape))


def _dot(first: Array, second: Array) -> float:
    """Inner product: float32 within short pieces, float64 over them, as exact as cosines near one need and fast."""
    whole = first.size - first.size % _DOT_PIECE
    pieces = np.einsum("ij,ij->i", first[:whole].reshape(-1, _DOT_PIECE), second[:whole].reshape(-1, _DOT_PIECE))
    rest = np.dot(first[whole:].astype(np.float64), second[whole:].astype(np.float64))
    return float(pieces.sum(dtype=np.float64)) + float(rest)


def _quantile(error: Array) -> float:
    step = max(1, error.size // _QUANTILE_SAMPLE)
    sample = error[::step]
    place = min(sample.size - 1, int(0.99 * sample.size))
    return float(np.partition(sample, place)[place])
