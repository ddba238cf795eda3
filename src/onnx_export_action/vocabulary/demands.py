"""What is demanded of an output's numbers: how a tolerance follows from noise, and what a variant must keep."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from onnx_export_action.vocabulary.results import OutputResult, ToleranceSource

NOISE_MULTIPLE, RMS_NOISE_MULTIPLE = 24.0, 12.0
"""How much more than the model's own noise is allowed to one element, and to the root mean square of a case.

Measured over tiny models of 150 types (`make no-false-alarm` measures it again): ONNX Runtime's largest error is 0.5 to
3 times the noise, and its root mean square at most 4; only for Moonshine they are up to 11 and 6 times.
"""

FEW_ELEMENTS = 16.0
"""Of n numbers the multiple is ``1 + FEW_ELEMENTS / n`` times as large: the noise of a few may be small by chance.

Their variance may come out 16 times too small, once in a thousand times (chi-square distribution).
"""

DEFAULT_RTOL = 1e-4
"""Relative half of the default: float32 has 24 bits (6e-8); depth and the order of sums cost about three decimals."""

ROUNDING_RTOL = 1e-6
"""Relative half of a calibrated tolerance: a number much larger than the others rounds by its own size."""


class Measure(enum.StrEnum):
    """What of an output is kept."""

    SQNR_DB = "signal over noise"
    COSINE = "cosine"
    AGREEMENT = "agreement"


@dataclass(frozen=True)
class Shortfall:
    """A demand that an output does not meet: what was found (None: not known) and what is wanted, in its unit.

    ``source`` is where the demand comes from, ``cost_db`` what PyTorch keeps when it rounds alike.
    """

    measure: Measure
    found: float | None
    wanted: float
    source: ToleranceSource
    cost_db: float | None


def shortfall(output: OutputResult) -> Shortfall | None:
    """The first demand that the output does not meet; None where it meets all.

    Without any error there is no noise to set a signal against, and no number: where ``max_abs`` is 0, or nothing was
    compared, what is not known meets a demand.
    """
    wanted = output.quality
    if wanted is None:
        return None
    demanded = (
        (Measure.SQNR_DB, output.sqnr_db, wanted.min_sqnr_db),
        (Measure.COSINE, output.cosine, wanted.min_cosine),
        (Measure.AGREEMENT, output.argmax_agreement, wanted.min_agreement),
    )
    for measure, found, least in demanded:
        if least is not None and (bool(output.max_abs) if found is None else found < least):
            return Shortfall(measure, found, least, wanted.source, wanted.cost_db)
    return None
