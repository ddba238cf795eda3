"""Results to report on, small enough to read."""

from __future__ import annotations

from typing import Any

from onnx_export_action.vocabulary.results import (
    AxisResult,
    CaseResult,
    FileResult,
    ModelInfo,
    OutputResult,
    TargetResult,
    Verdict,
)


def output(name: str = "logits", *, margin: float | None = 0.031, **more: Any) -> OutputResult:
    return OutputResult(name=name, atol=1e-4, rtol=1e-5, max_abs=3.1e-6, margin=margin, **more)


def case(number: int = 0, verdict: Verdict = Verdict.PASS, **more: Any) -> CaseResult:
    shape = {"batch_size": 2, "sequence_length": 7 + number}
    return CaseResult(id=f"case-{number}", shape=shape, mask="left", verdict=verdict, max_abs=1e-6, margin=0.01, **more)


def file(verdict: Verdict = Verdict.PASS, **more: Any) -> FileResult:
    values: dict[str, Any] = {
        "path": "onnx/model.onnx",
        "bytes": 90_870_114,
        "sha256": "9f" * 32,
        "variant": "fp32",
        "engine": "tracer",
        "opset": 18,
        "axes": [AxisResult(input="input_ids", axis=0, name="batch_size", proven=True)],
        "outputs": [output()],
        "cases": [case(0), case(1)],
    }
    return FileResult(verdict=verdict, **(values | more))


def target(name: str = "sentiment", verdict: Verdict = Verdict.PASS, **more: Any) -> TargetResult:
    values: dict[str, Any] = {
        "model": ModelInfo(source="./models/sentiment", model_type="bert", task="text-classification"),
        "files": [file(verdict)],
        "packages": {"torch": "2.13.0"},
        "timings": {"load": 1.0, "trace": 2.5},
        "reproduce": f"onnx-export run --target {name}",
    }
    return TargetResult(target=name, verdict=verdict, **(values | more))
