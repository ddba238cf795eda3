"""Whether an output keeps what is demanded of it."""

from __future__ import annotations

import msgspec
import pytest

from onnx_export_action.vocabulary.demands import Measure, shortfall
from onnx_export_action.vocabulary.results import OutputResult, QualityResult, ToleranceSource

WANTED = QualityResult(min_sqnr_db=20.0, min_cosine=0.9, min_agreement=0.8, source=ToleranceSource.CALIBRATED)
KEPT = OutputResult(
    name="x", atol=1, rtol=0, max_abs=0.1, sqnr_db=21.0, cosine=0.95, argmax_agreement=0.9, quality=WANTED
)


@pytest.mark.parametrize(
    ("changes", "measure"),
    [
        ({}, None),
        ({"quality": None}, None),
        ({"sqnr_db": None, "cosine": None, "argmax_agreement": None, "max_abs": 0.0}, None),
        ({"sqnr_db": None}, Measure.SQNR_DB),
        ({"sqnr_db": 19.9}, Measure.SQNR_DB),
        ({"cosine": 0.899}, Measure.COSINE),
        ({"argmax_agreement": 0.79}, Measure.AGREEMENT),
        ({"sqnr_db": 1.0, "cosine": 0.1}, Measure.SQNR_DB),
    ],
)
def test_the_first_demand_that_is_not_met(changes: dict[str, object], measure: Measure | None) -> None:
    found = shortfall(msgspec.structs.replace(KEPT, **changes))
    assert (found.measure if found is not None else None) is measure
