"""Errors between what PyTorch and ONNX Runtime gave, over valid positions; NaN and Inf must agree in place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnx_export_action.validation.tolerance import Tolerance

Array = np.ndarray[Any, Any]
_QUANTILE_SAMPLE = 100_000
_DOT_PIECE = 1024
# Below the first where others are above it; below the second in any case.
_RULED_OUT, _LOWEST = -1e5, -1e30


@dataclass(frozen=True)
class Comparison:
    """One output in one case. ``margin`` above 1, a NaN mismatch or a ``problem`` is a failure.

    ``element_margin`` is that of single values, ``margin`` also of their root mean square error ``rms_abs``.
    """

    margin: float
    max_abs: float
    rms_abs: float = 0.0
    element_margin: float = math.inf
    problem: str | None = None
    nan_mismatch: int = 0
    padded_max_abs: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the output is right."""
        return self.problem is None and self.nan_mismatch == 0 and self.margin <= 1.0


def valid_positions(
    inputs: Mapping[str, Array], output: Array, axes: Mapping[int, str], input_axes: Mapping[str, Mapping[int, str]]
) -> Array | None:
    """Boolean array that broadcasts to ``output``, False at padded positions; None when nothing is padded.

    An output's axis belongs to a mask when both carry the same name; the last positions of a mask over past and new
    tokens belong to an axis of new tokens alone. A row that a mask rules out whole is padding in every output.
    """
    for name, mask in inputs.items():
        if not name.endswith("attention_mask") or mask.ndim != 2 or mask.all():  # noqa: PLR2004 - (batch, length)
            continue
        batch_name, length_name = input_axes.get(name, {}).get(0), input_axes.get(name, {}).get(1)
        if length_name is None or axes.get(0) != batch_name:
            continue
        for axis, axis_name in axes.items():
            if axis == 0 or axis_name not in (length_name, length_name.split("+")[-1].strip()):
                continue
            valid = mask[:, -output.shape[axis] :] != 0
            if valid.shape == (output.shape[0], output.shape[axis]):
                shape = [1] * output.ndim
                shape[0], shape[axis] = valid.shape
                return valid.reshape(shape)
        real_rows = np.asarray(mask.any(axis=1))
        if not real_rows.all() and output.shape[0] == len(real_rows):
            return real_rows.reshape([-1] + [1] * (output.ndim - 1))
    return None


def ordinary_numbers(array: Array) -> Array:
    """Finite elements that the model did not rule out with a large negative number, as a boolean array.

    BigBird subtracts 1e6 from the logits of a question's tokens, OWL-ViT gives texts that are padding the lowest
    number there is: the scale of an output is that of the others.
    """
    chosen: Array = np.isfinite(array) & (array > _LOWEST)
    above = chosen & (array > _RULED_OUT)
    return above if above.any() else chosen


class OutputMetrics:
    """Collects one output's metrics over all cases."""

    def __init__(self, tolerance: Tolerance, *, counts_argmax: bool) -> None:
        self.tolerance = tolerance
        self._counts_argmax = counts_argmax
        self._elements = 0
        self._sum_abs = 0.0
        self._dot = self._reference_energy = self._candidate_energy = self._error_energy = 0.0
        self._argmax_equal = self._argmax_total = 0
        self.max_abs: float | None = None
        self.max_rms: float | None = None
        self.max_rel: float | None = None
        self.p99_abs: float | None = None
        self.margin: float | None = None
        self.padded_max_abs: float | None = None
        self.nan_mismatch = 0

    def add(self, reference: Array, candidate: Array, valid: Array | None) -> Comparison:
        """Compare one case's arrays; ``valid`` as :func:`valid_positions` gives it."""
        problem = _difference_in_kind(reference, candidate)
        if problem is not None:
            self.margin = math.inf
            return Comparison(math.inf, math.inf, problem=problem)
        if reference.size == 0:
            return Comparison(0.0, 0.0)
        reference, candidate = _as_float(reference), _as_float(candidate)
        mismatch = _nonfinite_mismatch(reference, candidate)
        self.nan_mismatch += mismatch
        padded = self._padded_error(reference, candidate, valid)
        element_margin, max_abs, rms_abs = self._accumulate(*_selected(reference, candidate, valid))
        rms_margin = rms_abs / self.tolerance.rms if self.tolerance.rms else 0.0
        margin = max(element_margin, rms_margin)
        self.margin = max(self.margin or 0.0, margin)
        return Comparison(
            margin,
            max_abs,
            rms_abs=rms_abs,
            element_margin=element_margin,
            nan_mismatch=mismatch,
            padded_max_abs=padded,
        )

    def _padded_error(self, reference: Array, candidate: Array, valid: Array | None) -> float | None:
        if valid is None:
            return None
        padded = np.broadcast_to(~valid, reference.shape)
        error = np.abs(candidate[padded] - reference[padded])
        finite = error[np.isfinite(error)]
        largest = float(finite.max(initial=0.0))
        self.padded_max_abs = max(self.padded_max_abs or 0.0, largest)
        return largest

    def _accumulate(self, reference: Array, candidate: Array) -> tuple[float, float, float]:
        """Flat arrays of finite numbers in; worst margin of a number, absolute and root mean square error out."""
        if reference.size == 0:
            return 0.0, 0.0, 0.0
        error = np.abs(candidate - reference)
        magnitude = np.abs(reference)
        allowed = self.tolerance.atol + self.tolerance.rtol * magnitude
        max_abs = float(error.max())
        self._elements += error.size
        self._sum_abs += float(error.sum(dtype=np.float64))
        self._dot += _dot(reference, candidate)
        self._reference_energy += _dot(reference, reference)
        self._candidate_energy += _dot(candidate, candidate)
        error_energy = _dot(error, error)
        self._error_energy += error_energy
        rms_abs = math.sqrt(error_energy / error.size)
        self.max_rms = max(self.max_rms or 0.0, rms_abs)
        self.max_abs = max(self.max_abs or 0.0, max_abs)
        self.p99_abs = max(self.p99_abs or 0.0, _quantile(error))
        # Relative errors of numbers below the absolute tolerance say nothing.
        relative = error / np.where(magnitude > self.tolerance.atol, magnitude, np.inf)
        self.max_rel = max(self.max_rel or 0.0, float(relative.max()))
        return float((error / allowed).max()), max_abs, rms_abs

    def count_argmax(self, reference: Array, candidate: Array, valid: Array | None) -> None:
        """Count rows of the last axis whose largest element is the same."""
        if not self._counts_argmax or reference.shape != candidate.shape or reference.ndim < 2:  # noqa: PLR2004
            return
        if reference.shape[-1] < 2 or reference.size == 0:  # noqa: PLR2004 - one class always agrees
            return
        equal = reference.argmax(axis=-1) == candidate.argmax(axis=-1)
        if valid is not None and valid.shape[-1] == 1:
            equal = equal[np.broadcast_to(valid[..., 0], equal.shape)]
        self._argmax_equal += int(equal.sum())
        self._argmax_total += equal.size

    @property
    def mean_abs(self) -> float | None:
        """Mean absolute error over all elements of all cases."""
        return self._sum_abs / self._elements if self._elements else None

    @property
    def cosine(self) -> float | None:
        """Cosine between all reference and all candidate values."""
        energy = math.sqrt(self._reference_energy * self._candidate_energy)
        return min(1.0, self._dot / energy) if energy else None

    @property
    def sqnr_db(self) -> float | None:
        """Signal to quantisation noise ratio in dB; None when there is no noise at all."""
        if not self._error_energy or not self._reference_energy:
            return None
        return 10.0 * math.log10(self._reference_energy / self._error_energy)

    @property
    def argmax_agreement(self) -> float | None:
        """Share of rows with the same largest element."""
        return self._argmax_equal / self._argmax_total if self._argmax_total else None


def _difference_in_kind(reference: Array, candidate: Array) -> str | None:
    if reference.shape != candidate.shape:
        return f"shape {tuple(candidate.shape)} where PyTorch gives {tuple(reference.shape)}"
    if reference.dtype.kind != candidate.dtype.kind:
        return f"dtype {candidate.dtype} where PyTorch gives {reference.dtype}"
    return None


def _as_float(array: Array) -> Array:
    if array.dtype in (np.float32, np.float64):
        return array
    return array.astype(np.float64 if array.dtype.kind in "iu" else np.float32)


def _nonfinite_mismatch(reference: Array, candidate: Array) -> int:
    """Places where one is NaN or infinite and the other is not the same; counted over padded positions too."""
    finite_reference, finite_candidate = np.isfinite(reference), np.isfinite(candidate)
    if finite_reference.all() and finite_candidate.all():
        return 0
    same_nan = np.isnan(reference) & np.isnan(candidate)
    same_inf = np.isinf(reference) & np.isinf(candidate) & (reference == candidate)
    return int((~((finite_reference & finite_candidate) | same_nan | same_inf)).sum())


def _selected(reference: Array, candidate: Array, valid: Array | None) -> tuple[Array, Array]:
    if valid is not None:
        chosen = np.broadcast_to(valid, reference.shape)
        reference, candidate = reference[chosen], candidate[chosen]
    reference, candidate = reference.reshape(-1), candidate.reshape(-1)
    finite = np.isfinite(reference) & np.isfinite(candidate)
    return (reference, candidate) if finite.all() else (reference[finite], candidate[finite])


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
