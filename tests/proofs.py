"""Results of real runs, and made-up ones that hold together: what a report or the Hub may believe."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from onnx_export_action.vocabulary.results import (
    AxisResult,
    CaseOutputResult,
    CaseResult,
    ElementResult,
    FileResult,
    InputResult,
    OutputResult,
    QualityResult,
    TargetResult,
    Verdict,
    read_result,
)
from onnx_export_action.vocabulary.variants import VARIANTS

# Of tiny models, written by `onnx-export export`: with variants, with a cache, of two files and merged, TorchScript.
RECORDED = sorted((Path(__file__).parent / "data" / "results").glob("*.json"))


def recorded(name: str) -> TargetResult:
    """A result that this project wrote."""
    return read_result(next(path for path in RECORDED if path.stem == name))


def proven_file(*, variant: str = "fp32", **more: Any) -> FileResult:
    """A file with one input and one output, proven at two sizes of its one axis."""
    worst = ElementResult(index=[0, 0], torch=1.0, onnx=1.0 + 2.0e-6)
    error = 2.0e-6
    margin = error / (1.0e-5 + 1.0e-4)
    one = CaseOutputResult(
        name="y", margin=margin, max_abs=error, mean_abs=1e-6, rms_abs=1e-6, p99_abs=error, sqnr_db=100.0, worst=worst
    )
    cases = [
        CaseResult(
            id=name,
            shape={"n": size},
            mask="none",
            verdict=Verdict.PASS,
            worst_output="y",
            max_abs=error,
            margin=margin,
            outputs=[one],
        )
        for name, size in (("base", 2), ("n=3", 3))
    ]
    least = VARIANTS[variant].least_db
    output = OutputResult(
        name="y",
        atol=1.0e-5,
        rtol=1.0e-4,
        max_abs=error,
        mean_abs=1e-6,
        p99_abs=error,
        max_rms=1e-6,
        sqnr_db=100.0,
        margin=margin,
        worst=ElementResult(index=[0, 0], torch=1.0, onnx=1.0 + error, case="base"),
        quality=None if least is None else QualityResult(min_sqnr_db=least, source="default"),
    )
    values: dict[str, Any] = {
        "path": "onnx/model.onnx",
        "bytes": 1000,
        "sha256": "9f" * 32,
        "engine": "tracer",
        "opset": 18,
        "inputs": [InputResult(name="x", dtype="float32", shape=["n", 4])],
        "axes": [AxisResult(input="x", axis=0, name="n", proven=True)],
        "outputs": [output],
        "cases": cases,
    }
    return FileResult(verdict=Verdict.PASS, variant=variant, **(values | more))


def with_other_output(result: TargetResult, suffix: str = "_2") -> TargetResult:
    """The result as it would be if every output of its files had another name."""
    changed = copy.deepcopy(result)
    for file in changed.files:
        for output in (*file.outputs, *(one for case in file.cases for one in case.outputs)):
            output.name += suffix
        for case in file.cases:
            case.worst_output = f"{case.worst_output}{suffix}"
    return changed
