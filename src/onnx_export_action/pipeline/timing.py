"""How long calls take, where a target asks for it: a proven file that is beyond its bound fails."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from onnx_export_action.pipeline.states import Site, TargetState
from onnx_export_action.processes.workers import Work
from onnx_export_action.vocabulary.options import LatencyBounds
from onnx_export_action.vocabulary.results import Failure, FileResult, LatencyResult, Stage, Verdict

_LATENCY = Work(
    "onnx_export_action.proving.candidate.latency:measure_latency",
    dict[str, LatencyResult],
    Stage.VALIDATE,
    "times the calls",
)


def timed(site: Site, state: TargetState) -> TargetState:
    """The stage: the proven files of ``state`` with their latency, where the job asks for it.

    Raises:
        ExportError: the calls cannot be timed.
    """
    bounds = site.job.options.latency
    proven = {file.path for file in state.files if file.verdict is Verdict.PASS}
    asked = [file for file in state.candidates if file.name in proven]
    if bounds is None or not asked:
        return state
    site.progress("timing ONNX Runtime and PyTorch")
    worker = site.workers.warm(_LATENCY)
    worker.ask(site.job, asked)
    found: dict[str, LatencyResult] = worker.answer()
    worker.stop()
    files = (_with_latency(file, found[file.path], bounds) if file.path in found else file for file in state.files)
    return replace(state, files=tuple(files))


def _with_latency(file: FileResult, latency: LatencyResult, bounds: LatencyBounds) -> FileResult:
    message = beyond_bounds(latency, bounds)
    if message is None:
        return msgspec.structs.replace(file, latency=latency)
    failure = Failure(
        stage=Stage.VALIDATE, message=message, hint="the values are right; raise the bound, or make it faster"
    )
    return msgspec.structs.replace(file, latency=latency, verdict=Verdict.FAIL, failure=failure)


def beyond_bounds(latency: LatencyResult, bounds: LatencyBounds) -> str | None:
    """In what the first size that is too slow exceeds its bound; None where none does."""
    for size in latency.sizes:
        shape = ", ".join(f"{axis} {number}" for axis, number in size.shape.items())
        if bounds.max_ms is not None and size.onnx_ms > bounds.max_ms:
            return f"one call takes {size.onnx_ms:.3g} ms ({shape}); latency.max_ms allows {bounds.max_ms:g}"
        if bounds.max_ratio is not None and size.onnx_ms > bounds.max_ratio * size.torch_ms:
            return (
                f"one call takes {size.onnx_ms:.3g} ms, {size.onnx_ms / size.torch_ms:.3g} times PyTorch's "
                f"{size.torch_ms:.3g} ms ({shape}); latency.max_ratio allows {bounds.max_ratio:g}"
            )
    return None
