"""The verdict on one file, from small graphs made by hand: what passes, what fails, and what stops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from onnx_export_action.proving.arrays import Array
from onnx_export_action.proving.candidate.check import check_file
from onnx_export_action.vocabulary.results import CaseProblem, Cause, FileResult, Verdict
from tests.unit.proving.references import NO_TOLERANCE, HandMade, asked, save_graph, value

WEIGHT = np.linspace(-1.0, 1.0, 12, dtype=np.float32).reshape(3, 4)
SHAPE = [(2, 5), (1, 5), (3, 5), (2, 1), (2, 9)]
VARIED = [None, "batch_size", "batch_size", "sequence_length", "sequence_length"]


def _rows(shape: tuple[int, int]) -> Array:
    random = np.random.default_rng(sum(shape))
    return random.normal(size=(*shape, 3)).astype(np.float32)


PRODUCT = HandMade(
    model=lambda inputs: {"scores": inputs["states"] @ WEIGHT},
    inputs={"states": {0: "batch_size", 1: "sequence_length"}},
    outputs={"scores": {0: "batch_size", 1: "sequence_length"}},
    cases={f"{shape}": ({"states": _rows(shape)}, varied) for shape, varied in zip(SHAPE, VARIED, strict=True)},
)


def _product(path: Path, weight: Array = WEIGHT, **more: object) -> Path:
    node = helper.make_node("MatMul", ["states", "weight"], ["scores"], name="/layer/MatMul")
    states, scores = value("states", ["batch", "length", 3]), value("scores", ["batch", "length", 4])
    return save_graph(path, [node], [states], [scores], {"weight": weight})


def _at_export_sizes(path: Path) -> Path:
    """A graph in which the sizes of the export are fixed: the runtime stops at any other."""
    nodes = [
        helper.make_node("Reshape", ["states", "fixed"], ["flat"], name="/layer/Reshape"),
        helper.make_node("MatMul", ["flat", "weight"], ["product"]),
        helper.make_node("Reshape", ["product", "back"], ["scores"]),
    ]
    weights = {"fixed": np.array([10, 3]), "back": np.array([2, 5, 4]), "weight": WEIGHT}
    states, scores = value("states", ["batch", "length", 3]), value("scores", ["batch", "length", 4])
    return save_graph(path, nodes, [states], [scores], weights)


def _never(path: Path) -> Path:
    """A graph that stops at every input."""
    nodes = [
        helper.make_node("Reshape", ["states", "fixed"], ["flat"], name="/layer/Reshape"),
        helper.make_node("MatMul", ["flat", "weight"], ["scores"]),
    ]
    weights = {"fixed": np.array([7, 11, 3]), "weight": WEIGHT}
    states, scores = value("states", ["batch", "length", 3]), value("scores", ["batch", "length", 4])
    return save_graph(path, nodes, [states], [scores], weights)


@pytest.fixture
def references(tmp_path: Path) -> Path:
    PRODUCT.record(tmp_path / "references")
    return tmp_path / "references"


def check(path: Path, references: Path, **changes: object) -> FileResult:
    return check_file(NO_TOLERANCE, asked(path, **changes), references).result


def test_a_right_file_passes_with_all_its_axes_proven(tmp_path: Path, references: Path) -> None:
    result = check(_product(tmp_path / "model.onnx"), references, timed=True)
    assert result.verdict is Verdict.PASS
    assert result.failure is None
    assert {(axis.name, axis.proven) for axis in result.axes} == {("batch_size", True), ("sequence_length", True)}
    assert [case.problem for case in result.cases] == [None] * len(SHAPE)
    assert result.operators == {"MatMul": 1}
    assert [(one.name, one.shape) for one in result.inputs] == [("states", ["batch", "length", 3])]
    assert (result.call_ms or 0.0) > 0.0


@pytest.mark.parametrize("make", [_at_export_sizes, _never])
def test_a_file_that_stops_fails_and_is_not_timed(make: object, tmp_path: Path, references: Path) -> None:
    """It is judged (so that another engine is tried), where a call for the time would end the check."""
    result = check(make(tmp_path / "model.onnx"), references, timed=True)  # type: ignore[operator]
    assert result.verdict is Verdict.FAIL
    assert result.call_ms is None
    stopped = [case for case in result.cases if case.problem is CaseProblem.STOPPED_OVER_SIZES]
    assert len(stopped) == (4 if make is _at_export_sizes else 5)
    assert all((case.message or "").startswith("ONNX Runtime stopped: ") for case in stopped)
    assert result.failure is not None
    assert result.failure.cause is Cause.AXIS
