"""The verdict on one file, from small graphs made by hand: what passes, what fails, and what stops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from onnx_export_action.proving.candidate.check import check_file
from onnx_export_action.vocabulary.options import OutputTolerance, Tolerances
from onnx_export_action.vocabulary.results import CaseProblem, Cause, FileResult, ToleranceSource, Verdict
from tests.unit.proving.candidate.graphs import PRODUCT, SHAPES, WEIGHT, at_export_sizes, divided, never, product
from tests.unit.proving.references import NO_TOLERANCE, asked


@pytest.fixture
def references(tmp_path: Path) -> Path:
    PRODUCT.record(tmp_path / "references")
    return tmp_path / "references"


def check(path: Path, references: Path, declared: Tolerances = NO_TOLERANCE, **changes: object) -> FileResult:
    return check_file(declared, asked(path, **changes), references).result


def test_a_right_file_passes_with_all_its_axes_proven(tmp_path: Path, references: Path) -> None:
    result = check(product(tmp_path / "model.onnx"), references, timed=True)
    assert result.verdict is Verdict.PASS
    assert result.failure is None
    assert {(axis.name, axis.proven) for axis in result.axes} == {("batch_size", True), ("sequence_length", True)}
    assert [case.problem for case in result.cases] == [None] * len(SHAPES)
    assert result.operators == {"MatMul": 1}
    assert [(one.name, one.shape) for one in result.inputs] == [("states", ["batch", "length", 3])]
    assert (result.call_ms or 0.0) > 0.0


@pytest.mark.parametrize(("make", "stops"), [(at_export_sizes, 4), (never, 5)])
def test_a_file_that_stops_fails_and_is_not_timed(
    make: Callable[[Path], Path], stops: int, tmp_path: Path, references: Path
) -> None:
    """It is judged, so that another engine is tried; a call for its time would end the check without a verdict."""
    result = check(make(tmp_path / "model.onnx"), references, timed=True)
    assert result.verdict is Verdict.FAIL
    assert result.call_ms is None
    stopped = [case for case in result.cases if case.problem is CaseProblem.STOPPED_OVER_SIZES]
    assert len(stopped) == stops
    assert all((case.message or "").startswith("ONNX Runtime stopped: ") for case in stopped)
    assert result.failure is not None
    assert result.failure.cause is Cause.AXIS


def test_wrong_values_fail_and_are_timed(tmp_path: Path, references: Path) -> None:
    result = check(product(tmp_path / "model.onnx", WEIGHT * 1.01), references, timed=True)
    assert result.verdict is Verdict.FAIL
    assert result.failure is not None
    assert result.failure.cause is Cause.VALUES
    assert {case.problem for case in result.cases} == {CaseProblem.VALUES}
    assert not any(axis.proven for axis in result.axes)
    assert result.call_ms is not None


def test_numbers_that_are_not_finite_fail(tmp_path: Path, references: Path) -> None:
    result = check(divided(tmp_path / "model.onnx"), references)
    assert {case.problem for case in result.cases} == {CaseProblem.NOT_FINITE}


def test_what_is_declared_widens_what_passes(tmp_path: Path, references: Path) -> None:
    wide = Tolerances(of_variants={"fp32": {"scores": OutputTolerance(atol=1.0)}})
    result = check(product(tmp_path / "model.onnx", WEIGHT * 1.01), references, wide)
    assert result.verdict is Verdict.PASS
    assert result.outputs[0].tolerance_source is ToleranceSource.DECLARED


def test_a_file_that_the_runtime_does_not_load_is_an_error(tmp_path: Path, references: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    result = check(tmp_path / "model.onnx", references)
    assert result.verdict is Verdict.ERROR
    assert result.failure is not None
    assert result.failure.cause is Cause.FILE


def test_a_file_that_changed_is_an_error_and_no_case_is_run(tmp_path: Path, references: Path) -> None:
    result = check(product(tmp_path / "model.onnx"), references, sha256="0" * 64)
    assert (result.verdict, result.cases) == (Verdict.ERROR, [])
