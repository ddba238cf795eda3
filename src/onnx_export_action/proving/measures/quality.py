"""What a variant must keep of the model: demands that fit its precision, and whether a file meets them.

An fp32 file is judged element by element. The error of a coarser one is noise, so its size over all elements counts:
the signal to noise ratio in decibels (SQNR). What the precision itself costs was measured in PyTorch
(:mod:`onnx_export_action.proving.precision.cost`); a file may lose little more than that, and never all that is
useful.
"""

from __future__ import annotations

import math

from onnx_export_action.proving.measures.tolerance import Tolerance
from onnx_export_action.proving.records import OutputRecord, PrecisionCost
from onnx_export_action.vocabulary.demands import DEFAULT_RTOL
from onnx_export_action.vocabulary.options import OutputTolerance
from onnx_export_action.vocabulary.results import QualityResult, ToleranceSource
from onnx_export_action.vocabulary.variants import VARIANTS

# The largest of many errors varies more than their mean: measured up to 1.5 times PyTorch's.
_ELEMENT_FACTOR, _TOKEN_FACTOR = 4.0, 2.0
_ENOUGH_DB = 60.0
"""Nobody needs more of a variant: its noise is a thousandth of what it says."""


def element_tolerance(variant: str, declared: OutputTolerance, exact: Tolerance, record: OutputRecord) -> Tolerance:
    """How far one element of a variant's output may be off; ``exact`` is the tolerance of the fp32 file."""
    if VARIANTS[variant].exact:
        return _declared_or(exact, declared)
    cost = record.costs.get(variant)
    if cost is not None:
        chance = 10 ** (cost.chance_db / 20)
        largest, source = _ELEMENT_FACTOR * chance * cost.max_abs, ToleranceSource.CALIBRATED
    else:
        noise = record.root_mean_square * 10 ** (-(VARIANTS[variant].least_db or 0.0) / 20)
        largest, source = 2 * _ELEMENT_FACTOR * noise, ToleranceSource.DEFAULT
    return Tolerance(
        atol=exact.atol + largest if declared.atol is None else declared.atol,
        rtol=DEFAULT_RTOL if declared.rtol is None else declared.rtol,
        source=source if declared.atol is None else ToleranceSource.DECLARED,
    )


def _declared_or(exact: Tolerance, declared: OutputTolerance) -> Tolerance:
    if declared.atol is None and declared.rtol is None:
        return exact
    atol = exact.atol if declared.atol is None else declared.atol
    return Tolerance(atol, exact.rtol if declared.rtol is None else declared.rtol, ToleranceSource.DECLARED)


def token_tolerance(variant: str, tolerance: Tolerance) -> Tolerance:
    """Within this, two logits of a variant are a tie."""
    if VARIANTS[variant].exact:
        return tolerance
    scale = _TOKEN_FACTOR / _ELEMENT_FACTOR if tolerance.source is ToleranceSource.CALIBRATED else 1.0
    return Tolerance(tolerance.atol * scale, tolerance.rtol, tolerance.source)


def demands(variant: str, declared: OutputTolerance, exact: Tolerance, record: OutputRecord) -> QualityResult | None:
    """What a file of ``variant`` must keep of an output; None where nothing is asked of the whole.

    Where the precision costs as good as nothing, the noise that an fp32 file may have (``exact``) is allowed beside it.
    """
    cost = _in_decibels(record.costs.get(variant), record.root_mean_square)
    least, source = declared.sqnr_db, ToleranceSource.DECLARED
    row = VARIANTS[variant]
    if least is None and row.least_db is not None:
        noisy = _in_decibels(record.costs.get(variant), record.root_mean_square, exact.rms or 0.0)
        calibrated = -math.inf if noisy is None else min(noisy - row.slack_db - _chance_db(record, variant), _ENOUGH_DB)
        least = max(row.least_db, calibrated)
        source = ToleranceSource.CALIBRATED if calibrated >= row.least_db else ToleranceSource.DEFAULT
    if least is None and declared.cosine is None and declared.agreement is None:
        return None
    return QualityResult(
        min_sqnr_db=least,
        min_cosine=declared.cosine,
        min_agreement=declared.agreement,
        cost_db=cost,
        source=source,
    )


def _chance_db(record: OutputRecord, variant: str) -> float:
    cost = record.costs.get(variant)
    return 0.0 if cost is None else cost.chance_db


def _in_decibels(cost: PrecisionCost | None, root_mean_square: float, rounding: float = 0.0) -> float | None:
    """None where it is not known, or there is neither signal nor noise."""
    if cost is None or not cost.root_mean_square or not root_mean_square:
        return None
    return 20.0 * math.log10(root_mean_square / math.hypot(cost.root_mean_square, rounding))
