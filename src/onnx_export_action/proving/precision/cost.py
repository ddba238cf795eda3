"""What each asked variant costs each output: PyTorch with rounded numbers against PyTorch as it is.

Runs in the reference's process, on some of the cases that it has just run. Where a few cases amplify what rounding
does (a trained classifier at its boundary), one rounding says little of the next. So each case is rounded several times
alike, and the error of a file may grow with the few cases that it comes from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from safetensors.numpy import load_file

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.proving.arrays import Array, Arrays
from onnx_export_action.proving.cases.lengths import positions
from onnx_export_action.proving.measures.positions import ordinary_numbers, valid_positions
from onnx_export_action.proving.measures.ranking import in_expected_order
from onnx_export_action.proving.precision.simulation import Convolutions, SimulatedPrecision
from onnx_export_action.proving.records import (
    INPUT_PREFIX,
    OUTPUT_PREFIX,
    RANKING,
    CaseRecord,
    ComponentRecord,
    OutputRecord,
    PrecisionCost,
)
from onnx_export_action.proving.reference.work import parameters_at_work
from onnx_export_action.traceable.calling import FlatModel, run_flat
from onnx_export_action.vocabulary.variants import VARIANTS

_FEWEST_CASES = 8
_DRAWS = 3
_WORK_OF_A_DRAW = 10**10  # parameters times numbers of the inputs: about a second for each draw on two cores
# Errors that come from one case alone may as well be so many times as large the next time.
_OF_ONE_CASE = 4.0


@dataclass(frozen=True)
class Costs:
    """By output, then by variant; ``notes`` say which variants could not be simulated, and why."""

    of_outputs: dict[str, dict[str, PrecisionCost]]
    notes: list[str]

    def of(self, outputs: Mapping[str, OutputRecord]) -> dict[str, OutputRecord]:
        """The records of a component's outputs with their costs."""
        return {
            name: msgspec.structs.replace(record, costs=self.of_outputs.get(name, {}))
            for name, record in outputs.items()
        }


def measure_costs(
    model: torch.nn.Module, onnx_config: OnnxConfig, record: ComponentRecord, variants: Sequence[str], folder: Path
) -> Costs:
    """What each of the variants costs each output of the component, on some of its cases."""
    module = FlatModel(model, onnx_config)
    cases = [_Case(record, case, folder) for case in _chosen(record.cases, parameters_at_work(model))]
    with Convolutions() as convolutions:
        cases[0].run(module)
    costs: dict[str, dict[str, PrecisionCost]] = {name: {} for name in record.outputs}
    notes = []
    for variant in variants:
        draws = [{name: _Errors() for name in record.outputs} for _ in range(_DRAWS)]
        try:
            for draw, errors in enumerate(draws):
                for case in cases:
                    with SimulatedPrecision(model, VARIANTS[variant], convolves=convolutions.called, draw=draw):
                        found = case.run(module)
                    case.compare(found, errors)
        except Exception as error:  # whatever the model's own code raises on rounded numbers
            text = (str(error).strip().splitlines() or [""])[0][:200]
            notes.append(f"{record.name}: what {variant} costs is not known: {type(error).__name__}: {text}")
            continue
        for name in record.outputs:
            cost = _cost_of([errors[name] for errors in draws])
            if cost is not None:
                costs[name][variant] = cost
    return Costs(costs, notes)


def _chosen(cases: Sequence[CaseRecord], parameters: int) -> list[CaseRecord]:
    """At least eight, evenly spread over the grid, and the shortest of the others as far as the work allows."""
    count = min(len(cases), _FEWEST_CASES)
    places = set(np.linspace(0, len(cases) - 1, count).round().astype(int).tolist())
    work = 0
    for place in sorted(range(len(cases)), key=lambda place: math.prod(cases[place].shape.values())):
        work += parameters * max(positions(cases[place].shape), 1) * cases[place].shape.get("batch_size", 1)
        if work <= _WORK_OF_A_DRAW:
            places.add(place)
    return [cases[place] for place in sorted(places)]


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
    """Errors of one output, in float64: the energy of each case. Infinite where other numbers are not finite."""

    def __init__(self) -> None:
        self.energies: list[float] = []
        self.elements = 0
        self.largest = 0.0

    def add(self, expected: Array, found: Array, valid: Array | None) -> None:
        if expected.shape != found.shape:
            self.energies.append(math.inf)
            return
        error = np.where(expected == found, 0.0, found.astype(np.float64) - expected.astype(np.float64))
        chosen = ordinary_numbers(expected) | ~np.isfinite(found)
        error = error[chosen if valid is None else chosen & valid]
        if not np.isfinite(error).all():
            self.energies.append(math.inf)
            return
        self.energies.append(float(np.square(error).sum()))
        self.elements += error.size
        self.largest = max(self.largest, float(np.abs(error).max(initial=0.0)))

    @property
    def root_mean_square(self) -> float:
        return math.sqrt(sum(self.energies) / self.elements) if self.elements else 0.0


def _cost_of(draws: Sequence[_Errors]) -> PrecisionCost | None:
    """The largest of several roundings; None where one of them leaves the numbers."""
    energies = np.array([errors.energies for errors in draws])
    if not np.isfinite(energies).all():
        return None
    return PrecisionCost(
        root_mean_square=max(errors.root_mean_square for errors in draws),
        max_abs=max(errors.largest for errors in draws),
        chance_db=10.0 * math.log10(1.0 + _OF_ONE_CASE / max(_cases_that_count(energies), 1.0)),
    )


def _cases_that_count(energies: Array) -> float:
    """How many cases the errors come from: 1 where one outweighs all others, all of them where they are alike.

    The inverse participation ratio, https://en.wikipedia.org/wiki/Effective_number_of_parties.
    """
    squares = float(np.square(energies).sum())
    return float(np.square(energies.sum(axis=1)).sum()) / squares if squares else 1.0
