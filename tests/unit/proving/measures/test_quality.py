"""What a variant must keep, and whether an output keeps it."""

from __future__ import annotations

import msgspec
import pytest

from onnx_export_action.proving.measures.quality import (
    demands,
    element_tolerance,
    token_tolerance,
)
from onnx_export_action.proving.measures.tolerance import Tolerance
from onnx_export_action.proving.records import OutputRecord, PrecisionCost
from onnx_export_action.vocabulary.options import OutputTolerance
from onnx_export_action.vocabulary.results import ToleranceSource
from onnx_export_action.vocabulary.variants import VARIANTS

NOTHING = OutputTolerance()
EXACT = Tolerance(1e-5, 1e-6, ToleranceSource.CALIBRATED, rms=1e-6)
COST = PrecisionCost(root_mean_square=0.1, max_abs=0.4)
OUTPUT = OutputRecord(axes={}, class_atol=1e-4, root_mean_square=1.0, spread=1.0, costs={"q8": COST})
UNKNOWN = msgspec.structs.replace(OUTPUT, costs={})


def test_a_file_may_lose_a_little_more_than_pytorch_does() -> None:
    found = demands("q8", NOTHING, EXACT, OUTPUT)
    assert found is not None
    assert found.cost_db == pytest.approx(20.0)
    assert found.min_sqnr_db == pytest.approx(20.0 - VARIANTS["q8"].slack_db, abs=1e-6)
    assert found.source is ToleranceSource.CALIBRATED


def test_a_precision_that_leaves_little_is_held_to_the_table() -> None:
    noisy = msgspec.structs.replace(OUTPUT, costs={"q8": PrecisionCost(root_mean_square=0.9, max_abs=3.0)})
    found = demands("q8", NOTHING, EXACT, noisy)
    assert found is not None
    assert (found.min_sqnr_db, found.source) == (VARIANTS["q8"].least_db, ToleranceSource.DEFAULT)


def test_what_is_declared_is_what_is_demanded() -> None:
    declared = OutputTolerance(sqnr_db=3.0, cosine=0.7, agreement=0.9)
    found = demands("q8", declared, EXACT, OUTPUT)
    assert found is not None
    assert (found.min_sqnr_db, found.min_cosine, found.min_agreement) == (3.0, 0.7, 0.9)
    assert found.source is ToleranceSource.DECLARED


def test_fp32_is_asked_for_nothing_of_the_whole() -> None:
    assert demands("fp32", NOTHING, EXACT, OUTPUT) is None


@pytest.mark.parametrize(
    ("record", "source"), [(OUTPUT, ToleranceSource.CALIBRATED), (UNKNOWN, ToleranceSource.DEFAULT)]
)
def test_one_element_may_be_off_by_a_few_times_what_rounding_costs(
    record: OutputRecord, source: ToleranceSource
) -> None:
    found = element_tolerance("q8", NOTHING, EXACT, record)
    assert found.source is source
    assert found.atol > 2 * COST.max_abs
    assert token_tolerance("q8", found).atol <= found.atol


def test_levels_that_compute_the_same_are_held_to_the_tolerance_of_fp32() -> None:
    assert element_tolerance("O2", NOTHING, EXACT, OUTPUT) == EXACT
    declared = element_tolerance("O2", OutputTolerance(atol=0.5), EXACT, OUTPUT)
    assert (declared.atol, declared.rtol, declared.source) == (0.5, EXACT.rtol, ToleranceSource.DECLARED)
