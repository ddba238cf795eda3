"""What each asked variant costs each output: PyTorch with rounded numbers against PyTorch as it is.

Runs in the reference's process, on some of the cases that it has just run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.proving.arrays import Array, Arrays
from onnx_export_action.proving.measures.positions import ordinary_numbers, valid_positions
from onnx_export_action.proving.measures.ranking import in_expected_order
from onnx_export_action.proving.precision.simulation import Convolutions, SimulatedPrecision
from onnx_export_action.proving.records import (
    INPUT_PREFIX,
    OUTPUT_PREFIX,
    RANKING,
    CaseRecord,
    ComponentRecord,
    PrecisionCost,
)
from onnx_export_action.traceable.calling import FlatModel, run_flat
from onnx_export_action.vocabulary.variants import VARIANTS

_MOST_CASES = 8


def measure_costs(
    model: torch.nn.Module, onnx_config: OnnxConfig, record: ComponentRecord, variants: Sequence[str], folder: Path
) -> list[str]:
    """Fill in the ``costs`` of the record's outputs; the notes say which variants could not be simulated, and why."""
    module = FlatModel(model, onnx_config)
    cases = [_Case(record, case, folder) for case in _chosen(record.cases)]
    with Convolutions() as convolutions:
        cases[0].run(module)
    notes = []
    for variant in variants:
        errors = {name: _Errors() for name in record.outputs}
        try:
            for case in cases:
                with SimulatedPrecision(model, VARIANTS[variant], convolves=convolutions.called):
                    found = case.run(module)
                case.compare(found, errors)
        except Exception as error:  # whatever the model's own code raises on rounded numbers
            text = (str(error).strip().splitlines() or [""])[0][:200]
            notes.append(f"{record.name}: what {variant} costs is not known: {type(error).__name__}: {text}")
            continue
        for name, output in record.outputs.items():
            if math.isfinite(errors[name].energy):
                output.costs[variant] = errors[name].cost()
    return notes


def _chosen(cases: Sequence[CaseRecord]) -> list[CaseRecord]:
    """At most eight, evenly spread over the grid; the first and the last are among them."""
    count = min(len(cases), _MOST_CASES)
    places = np.linspace(0, len(cases) - 1, count).round().astype(int)
    return [cases[place] for place in places]


class _Case:
    """A case that PyTorch ran, as its file holds it."""

    def __init__(self, record: ComponentRecord, case: CaseRecord, folder: Path) -> None:
        arrays = load_file(folder / case.file)
        self._record = record
        self._inputs = {name: arrays[f"{INPUT_PREFIX}{name}"] for name in record.inputs}
        self._expected = {name: arrays[f"{OUTPUT_PREFIX}{name}"] for name in record.outputs}
        self._ranking = arrays.get(RANKING)

    def run(self, module: FlatModel) -> Arrays:
        """The outputs by name."""
        results = run_flat(module, [torch.from_numpy(array) for array in self._inputs.values()])
        return {name: tensor.numpy() for name, tensor in zip(self._expected, results, strict=True)}

    def compare(self, found: Arrays, errors: Mapping[str, _Errors]) -> None:
        """Add this case's errors, over valid positions."""
        if self._ranking is not None:
            found = in_expected_order(self._expected, found, self._ranking)
        for name, expected in self._expected.items():
            valid = valid_positions(self._inputs, expected, self._record.outputs[name].axes, self._record.inputs)
            errors[name].add(expected, found[name], valid)


class _Errors:
    """Errors of one output, in float64; infinite where numbers are not finite in the same places."""

    def __init__(self) -> None:
        self.energy = 0.0
        self._elements = 0
        self._largest = 0.0

    def add(self, expected: Array, found: Array, valid: Array | None) -> None:
        if expected.shape != found.shape:
            self.energy = math.inf
            return
        error = np.where(expected == found, 0.0, found.astype(np.float64) - expected.astype(np.float64))
        chosen = ordinary_numbers(expected) | ~np.isfinite(found)
        error = error[chosen if valid is None else chosen & valid]
        if not np.isfinite(error).all():
            self.energy = math.inf
            return
        self.energy += float(np.square(error).sum())
        self._elements += error.size
        self._largest = max(self._largest, float(np.abs(error).max(initial=0.0)))

    def cost(self) -> PrecisionCost:
        mean = self.energy / self._elements if self._elements else 0.0
        return PrecisionCost(root_mean_square=math.sqrt(mean), max_abs=self._largest)
