"""Where a wrong file breaks: the smallest input that shows it, the weights, the first layer, and a folder to show it.

In order: :func:`_minimised` makes the failing case as small as it stays failing, :mod:`.weights` compares what is
stored, :mod:`.layers` what is computed, and :func:`_write_repro` leaves inputs, both sides' outputs and a script that
needs numpy and ONNX Runtime alone. Runs in a process of its own, after the verdict, which it never changes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from safetensors.numpy import load_file

from onnx_export_action.configuring.configuration import onnx_config_for
from onnx_export_action.loading.model import load_model
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.proving.arrays import Arrays
from onnx_export_action.proving.candidate.session import Candidate, open_session
from onnx_export_action.proving.candidate.stopping import RuntimeStoppedError
from onnx_export_action.proving.cases.grid import plan_cases
from onnx_export_action.proving.cases.specs import CaseSpec
from onnx_export_action.proving.explaining.diagnosis import File, with_other_padding
from onnx_export_action.proving.explaining.layers import (
    divergent_output,
    first_divergent,
    layer_errors,
    output_errors,
)
from onnx_export_action.proving.explaining.weights import compare_weights
from onnx_export_action.proving.measures.positions import valid_positions
from onnx_export_action.proving.measures.tolerance import Tolerance
from onnx_export_action.proving.records import (
    INPUT_PREFIX,
    CandidateFile,
    ComponentRecord,
    Explanation,
    ReferenceReader,
)
from onnx_export_action.proving.reference.work import parameters_at_work
from onnx_export_action.traceable.calling import FlatModel, run_flat
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.jobs import Job
from onnx_export_action.vocabulary.names.file_names import REPRODUCING_SCRIPT
from onnx_export_action.vocabulary.results import CaseResult, FileResult, LayerResult, Padding, Verdict
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT

MOST_BYTES = 1_500_000_000
"""Files beyond this are not looked into: the graph, the model and the session are in memory together."""

_SEARCH_SECONDS = 30.0
_MOST_LAYERS = 400
_IF = "If"
_TELLING_SIZE = 5
_MOST_PADDED = 4
_PADDING_WORDS = {
    Padding.NONE: "no padding",
    Padding.LEFT: "left padding",
    Padding.RIGHT: "right padding",
    Padding.MIXED: "mixed padding",
    Padding.SAMPLES: "a sample's padding",
    Padding.EMPTY_ROW: "one row without a token",
}


def explain(
    job: Job, file: CandidateFile, result: FileResult, references: Path, repro: Path, target: str
) -> Explanation:
    """Find out where ``file`` breaks, and write the folder ``repro``.

    ``target`` is where the file will lie, relative to that folder; ``result`` is the verdict on it, with at least one
    failing case.

    Raises:
        ExportError: the model cannot be loaded.
    """
    model = load_model(job).model
    components = dict(onnx_config_for(model, job).components())
    records = [ReferenceReader(references).component(name) for name in file.components]
    record, case = _simplest_failing(records, result.cases)
    failing = _Failing(model, components[record.name], records, record, file, result)
    plan = plan_cases(
        failing.onnx_config, seed=job.options.seed, extra=job.options.shapes, parameters=parameters_at_work(model)
    )
    spec = next((spec for spec in plan if spec.id == case), None)
    if spec is None or not failing.shows(spec):
        trigger, inputs = None, failing.recorded_inputs(references, case)
        telling = inputs
    else:
        smallest, trigger = _minimised(spec, failing)
        inputs = smallest.arrays(failing.onnx_config)
        telling = _telling(smallest, spec, failing).arrays(failing.onnx_config)
    _write_repro(repro, failing, inputs, target)
    if result.bytes > MOST_BYTES:
        return Explanation(trigger=trigger)
    graph = onnx.load(file.path)
    weights = compare_weights(model, graph)
    padding_counts = not weights.changed and _padding_counts(failing, references)
    layers, first = _layers(failing, graph, telling, quantised=file.variant != REFERENCE_VARIANT)
    return Explanation(
        trigger=trigger,
        weights=weights,
        padding_counts=padding_counts,
        layers=layers[:: max(1, -(-len(layers) // _MOST_LAYERS))],
        first_divergent_layer=first,
    )


class _Failing:
    """A file with one component of its model, and how to see whether they agree on an input."""

    def __init__(
        self,
        model: torch.nn.Module,
        onnx_config: OnnxConfig,
        records: list[ComponentRecord],
        record: ComponentRecord,
        file: CandidateFile,
        result: FileResult,
    ) -> None:
        self.onnx_config = onnx_config
        self.module = FlatModel(model, onnx_config)
        self.record = record
        self._candidate = Candidate(file.path, open_session(file.path), records)
        tolerances = {
            o.name: Tolerance(o.atol, o.rtol, o.tolerance_source, rms=o.rms_tolerance) for o in result.outputs
        }
        self._judge = File(run=lambda _, inputs: self.outputs_of_file(inputs) or {}, tolerances=tolerances)

    def feeds(self, inputs: Arrays) -> Arrays:
        """What to feed the file."""
        return self._candidate.feeds(self.record, inputs)

    def outputs_of_model(self, inputs: Arrays) -> Arrays:
        results = run_flat(self.module, [torch.from_numpy(array) for array in inputs.values()])
        return {name: tensor.detach().numpy() for name, tensor in zip(self.record.outputs, results, strict=True)}

    def outputs_of_file(self, inputs: Arrays) -> Arrays | None:
        """None where ONNX Runtime stops."""
        try:
            return self._candidate.run(self.record, inputs)
        except RuntimeStoppedError:
            return None

    def stops_at(self, inputs: Arrays) -> str | None:
        """The node that ONNX Runtime stops at; None where it does not stop, or does not say where."""
        try:
            self._candidate.run(self.record, inputs)
        except RuntimeStoppedError as stop:
            return stop.node
        return None

    def shows(self, spec: CaseSpec) -> bool:
        """Whether the file is wrong on this input; one that PyTorch itself does not take shows nothing."""
        try:
            inputs = spec.arrays(self.onnx_config)
            expected = self.outputs_of_model(inputs)
        except Exception:  # whatever the model's own code raises on this input
            return False
        found = self.outputs_of_file(inputs)
        return found is None or any(
            self._judge.differs(name, expected[name], found[name], self._valid(name, inputs, expected[name]))
            or (np.isfinite(expected[name]).all() and not np.isfinite(found[name]).all())
            for name in expected
        )

    def moves(self, inputs: Arrays, changed: Arrays) -> bool:
        """Whether an output of the file differs between two inputs, PyTorch's does not, and it is no accident."""
        before, after = self.outputs_of_model(inputs), self.outputs_of_model(changed)
        first, second, again = (self.outputs_of_file(given) for given in (inputs, changed, inputs))
        if first is None or second is None or again is None:
            return False
        valid = {name: self._valid(name, inputs, array) for name, array in before.items()}
        return any(
            self._judge.differs(name, first[name], second[name], valid[name])
            and not self._judge.differs(name, before[name], after[name], valid[name])
            and not self._judge.differs(name, first[name], again[name], valid[name])
            for name in before
        )

    def _valid(self, name: str, inputs: Arrays, expected: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
        return valid_positions(inputs, expected, self.record.outputs[name].axes, self.record.inputs)

    def recorded_inputs(self, references: Path, case: str) -> Arrays:
        """The inputs of a case that no plan makes again, such as a user's samples."""
        recorded = next(one for one in self.record.cases if one.id == case)
        arrays = load_file(references / recorded.file)
        return {name: arrays[f"{INPUT_PREFIX}{name}"] for name in self.record.inputs}


def _simplest_failing(records: Sequence[ComponentRecord], cases: Sequence[CaseResult]) -> tuple[ComponentRecord, str]:
    """The component and case id of the smallest failing case; one that has no padding comes first, samples last.

    One whose inputs say something odd comes after those that say what is usual.
    """
    tried = [(record, case) for record in records for case in record.cases]
    failing = [
        (
            checked.mask is Padding.SAMPLES,
            case.meaning is not None,
            checked.mask is not Padding.NONE,
            sum(checked.shape.values()),
            number,
        )
        for number, ((_, case), checked) in enumerate(zip(tried, cases, strict=True))
        if checked.verdict is not Verdict.PASS
    ]
    record, case = tried[min(failing)[-1]]
    return record, case.id


# --- the smallest input -----------------------------------------------------------------------------------------------


def _minimised(spec: CaseSpec, failing: _Failing) -> tuple[CaseSpec, str]:
    """Shrink one argument after the other, each as far as the rest allows, and say what is left."""
    until = time.perf_counter() + _SEARCH_SECONDS
    if spec.meaning is not None and failing.shows(usual := replace(spec, meaning=None)):
        spec = usual
    plain = replace(spec, padding=Padding.NONE)
    if spec.padding not in (Padding.NONE, Padding.EMPTY_ROW) and failing.shows(plain):
        spec = plain
    limits = failing.onnx_config.shape_limits()
    sizes = {**_traced_sizes(failing.onnx_config), **spec.shapes}
    passes: dict[str, int] = {}
    for argument, size in sizes.items():
        least = 0 if argument.startswith("past") else 1
        if argument in limits:
            least = limits[argument].clip(least)
        smallest, passing = _smallest(spec, argument, least, size, failing.shows, until)
        spec = replace(spec, shapes={**spec.shapes, argument: smallest})
        if passing is not None:
            passes[argument] = passing
    return spec, _trigger_words(spec, sizes, passes)


def _traced_sizes(onnx_config: OnnxConfig) -> dict[str, int]:
    """The shape arguments that change an input of this component, at the sizes of the export."""
    base = {name: array.shape for name, array in onnx_config.generate_dummy_inputs("np", padding="none").items()}
    sizes = {}
    for argument, size in asdict(onnx_config.dummy_shapes()).items():
        with contextlib.suppress(ExportError):
            other = onnx_config.generate_dummy_inputs("np", padding="none", **{argument: size + 1})
            moved = [
                (name, axis)
                for name, array in other.items()
                for axis, (old, new) in enumerate(zip(base[name], array.shape, strict=True))
                if old != new
            ]
            if moved and all(axis in onnx_config.inputs.get(name, {}) for name, axis in moved):
                sizes[argument] = size
    return sizes


def _smallest(
    spec: CaseSpec, argument: str, least: int, size: int, shows: Callable[[CaseSpec], bool], until: float
) -> tuple[int, int | None]:
    """The smallest failing size of one argument, and the largest smaller one that passes, by bisection."""

    def fails(tried: int) -> bool:
        return shows(replace(spec, shapes={**spec.shapes, argument: tried}))

    if size <= least or fails(least):
        return min(least, size), None
    passing = least
    while size - passing > 1 and time.perf_counter() < until:
        middle = (passing + size) // 2
        if fails(middle):
            size = middle
        else:
            passing = middle
    return size, passing


def _telling(smallest: CaseSpec, spec: CaseSpec, failing: _Failing) -> CaseSpec:
    """An input as small that still tells layers apart: over a single token, attention gives back its values."""
    shapes = {argument: max(size, _TELLING_SIZE) for argument, size in smallest.shapes.items()}
    larger = replace(smallest, shapes=shapes | {"batch_size": max(2, smallest.shapes.get("batch_size", 1))})
    return larger if failing.shows(larger) else spec


def _trigger_words(spec: CaseSpec, sizes: dict[str, int], passes: dict[str, int]) -> str:
    named = [
        f"{argument} {spec.shapes[argument]}" + (f" ({passes[argument]} passes)" if argument in passes else "")
        for argument in sizes
    ]
    return ", ".join([*named, _PADDING_WORDS[spec.padding] if spec.meaning is None else spec.meaning.value])


# --- padding ----------------------------------------------------------------------------------------------------------


def _padding_counts(failing: _Failing, references: Path) -> bool:
    """Whether other content at padded positions moves what the file gives, and does not move what PyTorch gives."""
    for case in [case for case in failing.record.cases if case.mask in (Padding.LEFT, Padding.RIGHT, Padding.MIXED)][
        :_MOST_PADDED
    ]:
        inputs = failing.recorded_inputs(references, case.id)
        changed = with_other_padding(failing.record, inputs)
        if changed is not None and failing.moves(inputs, changed):
            return True
    return False


# --- layers -----------------------------------------------------------------------------------------------------------


def _layers(
    failing: _Failing, graph: onnx.ModelProto, inputs: Arrays, *, quantised: bool
) -> tuple[list[LayerResult], str | None]:
    """The errors of all layers and outputs, and the first that differs.

    Where ONNX Runtime stops, that is the layer it stops in.
    """
    found = failing.outputs_of_file(inputs)
    if found is None:
        return [], _module_of_node(failing, failing.stops_at(inputs))
    feeds = failing.feeds(inputs)
    branch = next((node for node in graph.graph.node if node.op_type == _IF), None)
    if branch is not None and branch.input[0] in feeds:
        graph = _with_branch(graph, branch, "then_branch" if feeds[branch.input[0]].all() else "else_branch")
    layers = layer_errors(failing.module, graph, inputs, feeds)
    outputs = output_errors(failing.outputs_of_model(inputs), found)
    first = first_divergent(layers, quantised=quantised) or divergent_output(outputs)
    return layers + outputs, first


def _module_of_node(failing: _Failing, node: str | None) -> str | None:
    """The module that the failing node's name lies in: the tracer names nodes after modules."""
    modules = {name for name, _ in failing.module.named_modules()}
    path = node.strip("/").split("/")[:-1] if node is not None else []
    while path:
        if ".".join(path) in modules:
            return ".".join(path).removeprefix("model.")
        path.pop()
    return None


def _with_branch(graph: onnx.ModelProto, branch: onnx.NodeProto, taken: str) -> onnx.ModelProto:
    """The model with one branch in the place of the choice between two."""
    inner = next(attribute.g for attribute in branch.attribute if attribute.name == taken)
    unfolded = onnx.ModelProto()
    unfolded.CopyFrom(graph)
    del unfolded.graph.node[:], unfolded.graph.output[:]
    unfolded.graph.node.extend(inner.node)
    unfolded.graph.output.extend(inner.output)
    unfolded.graph.initializer.extend(inner.initializer)
    return unfolded


# --- the folder -------------------------------------------------------------------------------------------------------

_SCRIPT = '''\
"""Needs numpy and onnxruntime. Usage: python reproduce.py [MODEL.onnx]"""
import sys
from pathlib import Path
import numpy as np
import onnxruntime

here = Path(__file__).resolve().parent
model = sys.argv[1] if len(sys.argv) > 1 else here / {target!r}
inputs, pytorch = np.load(here / "inputs.npz"), np.load(here / "pytorch.npz")
session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
for name, found in zip(pytorch, session.run(list(pytorch), dict(inputs))):
    same_shape = found.shape == pytorch[name].shape
    error = np.abs(found.astype(float) - pytorch[name]).max(initial=0) if same_shape else "shapes differ"
    print(name, "ONNX", found.shape, "PyTorch", pytorch[name].shape, "largest difference:", error)
'''


def _write_repro(folder: Path, failing: _Failing, inputs: Arrays, target: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _save(folder / "inputs.npz", failing.feeds(inputs))
    _save(folder / "pytorch.npz", failing.outputs_of_model(inputs))
    found = failing.outputs_of_file(inputs)
    if found is not None:
        _save(folder / "onnx.npz", found)
    (folder / REPRODUCING_SCRIPT).write_text(_SCRIPT.format(target=target))


def _save(path: Path, arrays: Arrays) -> None:
    # By name, as numpy's signature takes no other keywords into account.
    named: dict[str, Any] = dict(arrays)
    np.savez_compressed(path, **named)
