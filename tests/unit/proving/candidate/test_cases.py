"""What is said of a case in which a file is wrong, and the figures over all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from onnx_export_action.proving.candidate.cases import CheckedCases, check_cases
from onnx_export_action.proving.candidate.graph_facts import graph_facts
from onnx_export_action.proving.candidate.session import Candidate, open_session
from onnx_export_action.proving.candidate.standards import standards_of
from onnx_export_action.proving.records import ComponentRecord
from onnx_export_action.vocabulary.results import CaseProblem, Verdict
from tests.unit.proving.candidate.graphs import (
    PRODUCT,
    SHAPES,
    WEIGHT,
    declared_otherwise,
    divided,
    never,
    product,
    widened,
)
from tests.unit.proving.references import NO_TOLERANCE, asked


def checked(path: Path, records: list[ComponentRecord], folder: Path) -> CheckedCases:
    standards = standards_of(NO_TOLERANCE, asked(path), records)
    candidate = Candidate(path, open_session(path), records)
    return check_cases(candidate, standards, graph_facts(path).outputs, folder)


@pytest.mark.parametrize(
    ("make", "problem", "said"),
    [
        (never, CaseProblem.STOPPED_OVER_SIZES, "ONNX Runtime stopped: "),
        (divided, CaseProblem.NOT_FINITE, "NaN or Inf"),
        (widened, CaseProblem.SHAPE, "scores: shape (2, 5, 5) where PyTorch gives (2, 5, 4)"),
        (lambda path: product(path, -WEIGHT), CaseProblem.VALUES, "scores differs by up to"),
    ],
)
def test_how_a_case_fails(make: Callable[[Path], Path], problem: CaseProblem, said: str, tmp_path: Path) -> None:
    first = checked(make(tmp_path / "model.onnx"), [PRODUCT.record(tmp_path)], tmp_path).cases[0]
    assert (first.verdict, first.problem) == (Verdict.FAIL, problem)
    assert said in (first.message or "")


def test_a_declaration_that_is_not_true_fails_where_it_is_not(tmp_path: Path) -> None:
    found = checked(declared_otherwise(tmp_path / "model.onnx"), [PRODUCT.record(tmp_path)], tmp_path)
    problems = [case.problem for case in found.cases]
    assert problems == [None if shape[1] == 5 else CaseProblem.DECLARATION for shape in SHAPES]


def test_the_figures_are_over_all_cases(tmp_path: Path) -> None:
    record = PRODUCT.record(tmp_path)
    (output,) = checked(product(tmp_path / "model.onnx", WEIGHT * 1.5), [record], tmp_path).outputs
    assert output.cosine == pytest.approx(1.0, abs=1e-6)
    assert output.sqnr_db == pytest.approx(6.02, abs=0.01)  # the error is half of the signal
    assert output.worst is not None
    assert output.worst.case in {str(shape) for shape in SHAPES}
    assert sum(output.error_decades) == sum(4 * rows * length for rows, length in SHAPES)
