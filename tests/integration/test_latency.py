"""Latency: measured where it is asked for, counted where a bound is declared."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnx_export_action.judging.policy import exit_code_of
from onnx_export_action.pipeline.running import export_and_check
from onnx_export_action.pipeline.timing import beyond_bounds
from onnx_export_action.vocabulary.jobs import Request
from onnx_export_action.vocabulary.options import ExportOptions, LatencyBounds
from onnx_export_action.vocabulary.results import ExitCode, LatencyResult, LatencySizeResult, TargetResult, Verdict
from tests.conftest import CheckpointFactory


def proven(model: Path, destination: Path, task: str, bounds: LatencyBounds | None) -> TargetResult:
    request = Request(
        name="target", model=str(model), destination=destination, task=task, options=ExportOptions(latency=bounds)
    )
    return export_and_check(request, progress=lambda _: None)


def test_every_file_is_timed_beside_pytorch_at_two_sizes(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    task = "text2text-generation-with-past"
    result = proven(checkpoint("t5", task="text2text-generation"), tmp_path / "onnx", task, LatencyBounds())
    assert result.verdict is Verdict.PASS
    assert len(result.files) == 4
    for file in result.files:
        assert file.latency is not None
        assert file.latency.threads
        small, large = file.latency.sizes
        assert (small.shape["batch_size"], large.shape["batch_size"]) == (1, 4)
        assert min(small.calls, large.calls) >= 5
        assert min(small.onnx_ms, small.torch_ms, large.onnx_ms, large.torch_ms) > 0.0


def test_a_file_slower_than_its_bound_fails_and_says_so(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    model = checkpoint("bert", task="text-classification")
    result = proven(model, tmp_path / "onnx", "text-classification", LatencyBounds(max_ms=1e-6))
    assert result.verdict is Verdict.FAIL
    assert exit_code_of([result]) is ExitCode.FAILED
    assert result.files[0].failure is not None
    assert "latency.max_ms allows 1e-06" in result.files[0].failure.message
    assert all(case.verdict is Verdict.PASS for case in result.files[0].cases)


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (LatencyBounds(), None),
        (LatencyBounds(max_ms=30.0, max_ratio=2.0), None),
        (LatencyBounds(max_ms=10.0), "takes 20 ms (batch_size 4); latency.max_ms allows 10"),
        (
            LatencyBounds(max_ratio=1.0),
            "1.25 times PyTorch's 16 ms (batch_size 4); latency.max_ratio allows 1",
        ),
    ],
)
def test_a_bound_holds_at_every_size(bounds: LatencyBounds, words: str | None) -> None:
    sizes = [
        LatencySizeResult(
            shape={"batch_size": size}, calls=9, onnx_ms=onnx, torch_ms=torch, onnx_spread_ms=1.0, torch_spread_ms=1.0
        )
        for size, onnx, torch in ((1, 5.0, 6.0), (4, 20.0, 16.0))
    ]
    message = beyond_bounds(LatencyResult(onnx_ms=20.0, torch_ms=16.0, sizes=sizes), bounds)
    assert message is None if words is None else words in (message or "")
