"""How exact float32 is for a model: its outputs in float32 beside those in float64, on the same cases.

What differs is the model's own rounding noise. A right ONNX file rounds as well, elsewhere; so its error is a small
multiple of that noise, while a wrong weight or constant shows as soon as it matters more than rounding does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.proving.arrays import Arrays
from onnx_export_action.proving.measures.positions import ordinary_numbers, valid_positions
from onnx_export_action.proving.measures.ranking import in_expected_order
from onnx_export_action.proving.records import INPUT_PREFIX, OUTPUT_PREFIX, RANKING, CaseRecord, NoiseRecord
from onnx_export_action.proving.reference.float64 import run_in_float64, twin
from onnx_export_action.traceable.calling import FlatModel

MEMORY_BUDGET = 2 * 2**30
"""Bytes that float64 copies may take. At any moment there are copies of one operator's weights, and of activations."""
MOST_PARAMETERS = 2**31
"""Beyond this float64 takes longer than an export is worth."""

# After the first case others follow while the work stays below this: about half a second on two cores.
_WORK = 10**10
# Making one element float64 takes as long as so many float64 operations of a product.
_FLOPS_PER_COPY = 50


@dataclass(frozen=True)
class Calibration:
    """Noise by output name, or the reason why there is none."""

    noise: Mapping[str, NoiseRecord]
    problem: str | None = None


def calibrate(module: FlatModel, onnx_config: OnnxConfig, cases: Sequence[CaseRecord], folder: Path) -> Calibration:
    """Measure the noise on cases that already ran in float32 and lie in ``folder``.

    The same cases each time: the first, then those that are likely to round most, as far as the work allows.
    """
    problem = _too_large(module)
    if problem is not None:
        return Calibration({}, problem)
    meters = {name: _NoiseMeter() for name in onnx_config.outputs}
    try:
        _measure_all(
            twin(module), onnx_config, (load_file(folder / case.file) for case in _most_telling_first(cases)), meters
        )
    except Exception as error:  # operators without a float64 form raise what they like
        text = (str(error).strip().splitlines() or [""])[0][:200]
        return Calibration({}, f"the model does not run in float64 ({type(error).__name__}: {text})")
    return Calibration({name: meter.record() for name, meter in meters.items() if meter.elements})


def _measure_all(
    module: FlatModel, onnx_config: OnnxConfig, cases: Iterable[Arrays], meters: Mapping[str, _NoiseMeter]
) -> None:
    """The first case, and each further one whose work, judged by its size beside the first, is left to spend."""
    first_input = f"{INPUT_PREFIX}{next(iter(onnx_config.inputs))}"
    done = elements = 0
    for arrays in cases:
        size = max(arrays[first_input].size, 1)
        if elements == 0 or done + done * size / elements <= _WORK:
            done += _measure(module, onnx_config, arrays, meters)
            elements += size


def _too_large(module: FlatModel) -> str | None:
    sizes = [parameter.numel() for parameter in module.parameters()]
    copies = 2 * 8 * max(sizes, default=0)  # the copy, and one in the order in which a product wants it
    if copies > MEMORY_BUDGET:
        return f"float64 copies of its largest weight take {copies / 2**30:.1f} GiB of {MEMORY_BUDGET >> 30}"
    if sum(sizes) > MOST_PARAMETERS:
        return f"it has {sum(sizes) / 1e9:.1f} thousand million parameters, too many to run in float64"
    return None


def _most_telling_first(cases: Sequence[CaseRecord]) -> Iterator[CaseRecord]:
    """The base, the last (a real sample where there are any), the largest, odd meanings, then the others in order.

    Silence is divided by its own small variance, and rounds more than anything else.
    """
    largest = max(cases, key=lambda case: math.prod(case.shape.values()))
    odd = [case for case in cases if case.meaning is not None]
    first = [cases[0], cases[-1], largest, *odd, *cases[-2:-1]]
    return iter({case.file: case for case in (*first, *cases)}.values())


def _measure(module: FlatModel, onnx_config: OnnxConfig, arrays: Arrays, meters: Mapping[str, _NoiseMeter]) -> int:
    """Add one case to the meters; returns how much work it was, in float64 operations."""
    inputs = {name: arrays[f"{INPUT_PREFIX}{name}"] for name in onnx_config.inputs}
    expected = {name: arrays[f"{OUTPUT_PREFIX}{name}"] for name in onnx_config.outputs}
    tensors = [torch.from_numpy(array) for array in inputs.values()]
    results, counted = run_in_float64(module, tensors)
    exact = {name: tensor.numpy() for name, tensor in zip(expected, results, strict=True)}
    if RANKING in arrays:
        exact = in_expected_order(expected, exact, arrays[RANKING])
    for name, meter in meters.items():
        valid = valid_positions(inputs, expected[name], onnx_config.outputs[name], onnx_config.inputs)
        meter.add(expected[name], exact[name], valid)
    return int(counted.flops + _FLOPS_PER_COPY * counted.copied)


class _NoiseMeter:
    """Collects how far float32 is from float64 for one output."""

    def __init__(self) -> None:
        self.elements = 0
        self._cases = 0
        self._largest = self._root_mean_square = 0.0

    def add(
        self, rounded: np.ndarray[Any, Any], exact: np.ndarray[Any, Any], valid: np.ndarray[Any, Any] | None
    ) -> None:
        """Numbers alone count; those that the model rules out with a huge negative one round by its size."""
        if rounded.dtype.kind != "f" or rounded.shape != exact.shape or rounded.size == 0:
            return
        chosen = ordinary_numbers(rounded) & np.isfinite(exact)
        chosen = chosen if valid is None else chosen & valid
        error = rounded[chosen].astype(np.float64) - exact[chosen]
        if error.size == 0:
            return
        self.elements += error.size
        self._cases += 1
        self._largest = max(self._largest, float(np.abs(error).max()))
        self._root_mean_square = max(self._root_mean_square, float(np.sqrt(np.square(error).mean())))

    def record(self) -> NoiseRecord:
        """What was collected."""
        return NoiseRecord(
            max_abs=self._largest, root_mean_square=self._root_mean_square, elements=self.elements, cases=self._cases
        )
