"""How long one call takes in ONNX Runtime and in PyTorch: in one process, with the same threads, in turn.

Other work on the machine meets both alike that way. What is measured informs; it counts only where the target declares
a bound.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import onnxruntime
import torch

from onnx_export_action.configuring.configuration import onnx_config_for
from onnx_export_action.loading.model import load_model
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.shapes import ShapeLimit
from onnx_export_action.proving.arrays import Arrays
from onnx_export_action.proving.candidate.session import Candidate
from onnx_export_action.proving.cases.specs import axis_sizes
from onnx_export_action.proving.records import CandidateFile, ComponentRecord
from onnx_export_action.traceable.calling import FlatModel, run_flat
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.jobs import Job
from onnx_export_action.vocabulary.results import LatencyResult, LatencySizeResult

_WARM_UPS = 3
_FEWEST_CALLS, _MOST_CALLS = 5, 50
_SECONDS = 1.5  # for the calls of one size, after which only the fewest are made

# One row, and a few longer ones; arguments that a model does not have are left out.
_SIZES: tuple[dict[str, int], ...] = (
    {"batch_size": 1, "sequence_length": 16, "past_sequence_length": 16},
    {"batch_size": 4, "sequence_length": 64, "past_sequence_length": 64},
)


def measure_latency(job: Job, files: list[CandidateFile]) -> dict[str, LatencyResult]:
    """Time every file, by name. Files that take turns by a switch are timed as they go on from a cache.

    Raises:
        ExportError: the model cannot be loaded, or does not run.
    """
    model = load_model(job).model
    components = dict(onnx_config_for(model, job).components())
    results = {}
    for file in files:
        onnx_config = components[file.components[-1]]
        records = [_record(name, components[name]) for name in file.components]
        candidate = Candidate(file.path, _session(file), records)
        module = FlatModel(model, onnx_config)
        sizes = [_timed(module, onnx_config, candidate, shapes) for shapes in _SIZES]
        results[file.name] = LatencyResult(
            onnx_ms=sizes[-1].onnx_ms, torch_ms=sizes[-1].torch_ms, threads=torch.get_num_threads(), sizes=sizes
        )
    return results


def _record(name: str, onnx_config: OnnxConfig) -> ComponentRecord:
    inputs = {tensor: dict(axes) for tensor, axes in onnx_config.inputs.items()}
    return ComponentRecord(name=name, inputs=inputs, outputs={}, cases=[])


def _session(file: CandidateFile) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    # Its threads would go on waiting for work at full speed while PyTorch's turn is timed.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(str(file.path), options, providers=["CPUExecutionProvider"])


def _timed(
    module: FlatModel, onnx_config: OnnxConfig, candidate: Candidate, shapes: dict[str, int]
) -> LatencySizeResult:
    arrays = _inputs(onnx_config, shapes)
    tensors = [torch.from_numpy(array) for array in arrays.values()]
    feeds, names = candidate.feeds(candidate.records[-1], arrays), list(onnx_config.outputs)
    onnx_times, torch_times = _in_turn(lambda: candidate.session.run(names, feeds), lambda: run_flat(module, tensors))
    return LatencySizeResult(
        shape=axis_sizes(onnx_config.inputs, arrays),
        calls=len(onnx_times),
        onnx_ms=statistics.median(onnx_times),
        torch_ms=statistics.median(torch_times),
        onnx_spread_ms=_spread(onnx_times),
        torch_spread_ms=_spread(torch_times),
    )


def _inputs(onnx_config: OnnxConfig, shapes: dict[str, int]) -> Arrays:
    limits = onnx_config.shape_limits()
    fitting = {name: limits.get(name, ShapeLimit()).clip(size) for name, size in shapes.items()}
    try:
        arrays: Arrays = onnx_config.generate_dummy_inputs("np", padding="none", **fitting)
    except ExportError:  # past and new tokens together do not fit the model's positions
        arrays = onnx_config.generate_dummy_inputs("np", padding="none")
    return arrays


def _in_turn(first: Callable[[], object], second: Callable[[], object]) -> tuple[list[float], list[float]]:
    """Milliseconds of each call of each, after some that do not count; who begins changes with every round."""
    for _ in range(_WARM_UPS):
        first()
        second()
    times: tuple[list[float], list[float]] = ([], [])
    started = time.perf_counter()
    for number in range(_MOST_CALLS):
        if number >= _FEWEST_CALLS and time.perf_counter() - started > _SECONDS:
            break
        turns = [(first, times[0]), (second, times[1])]
        for call, kept in turns if number % 2 == 0 else reversed(turns):
            before = time.perf_counter()
            call()
            kept.append(1000.0 * (time.perf_counter() - before))
    return times


def _spread(times: list[float]) -> float:
    """The middle half of the times."""
    lower, upper = np.quantile(times, [0.25, 0.75])
    return float(upper - lower)
