"""The untouched PyTorch model, loaded afresh in a process of its own, on every case of the grid."""

from __future__ import annotations

import itertools
import math
import resource
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from safetensors.numpy import save_file
from torch.overrides import TorchFunctionMode

from onnx_export_action.configuring.configuration import onnx_config_for
from onnx_export_action.loading.model import load_model
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.proving.arrays import Arrays
from onnx_export_action.proving.cases.grid import plan_cases
from onnx_export_action.proving.cases.lengths import positions, unreached
from onnx_export_action.proving.cases.samples import sample_cases, vocabulary
from onnx_export_action.proving.cases.specs import CaseSpec, GivenCase, axis_sizes
from onnx_export_action.proving.generation.decoder_only import can_generate, generate_reference
from onnx_export_action.proving.generation.encoder_decoder import (
    DECODER,
    can_generate_from_encoder,
    generate_from_encoder,
)
from onnx_export_action.proving.measures.positions import ordinary_numbers, valid_positions
from onnx_export_action.proving.measures.ranking import choice_is_certain, ranked
from onnx_export_action.proving.measures.task_metrics import SPEECH
from onnx_export_action.proving.precision.cost import measure_costs
from onnx_export_action.proving.records import (
    INPUT_PREFIX,
    OUTPUT_PREFIX,
    RANKING,
    CaseRecord,
    ComponentRecord,
    OutputRecord,
    Reference,
    write_record,
)
from onnx_export_action.proving.reference.calibration import calibrate
from onnx_export_action.proving.reference.work import parameters_at_work
from onnx_export_action.traceable.calling import FlatModel, run_flat
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.jobs import Job
from onnx_export_action.vocabulary.names.components import ComponentKind
from onnx_export_action.vocabulary.results import Padding, Stage
from onnx_export_action.vocabulary.variants import VARIANTS

_MOST_ATTEMPTS, _SEED_STEP = 8, 1000
_MOST_OF_A_VOCABULARY = 0.9  # some embeddings have a few rows more than there are tokens


def make_reference(job: Job, folder: Path) -> Reference:
    """Run the model of ``job`` on its grid; case files and records go to ``folder``.

    Raises:
        ExportError: the model cannot be loaded, or PyTorch itself does not run a case of the grid.
    """
    started = time.perf_counter()
    found = load_model(job)
    model = found.model
    loaded = time.perf_counter()
    onnx_config = onnx_config_for(model, job)
    notes = list(found.notes)
    components = dict(onnx_config.components())
    from_encoder = can_generate_from_encoder(components)
    for name, component in components.items():
        given, remarks = _all_cases(component, job, parameters_at_work(model))
        notes += remarks
        record = component_reference(model, name, component, given, folder)
        notes += _reach_notes(name, component, record)
        if component.task == SPEECH:
            record = msgspec.structs.replace(record, pieces=_pieces(model, job), blank=_blank(model))
        if record.not_calibrated is not None:
            notes.append(f"tolerances of {name} are the default ones, not calibrated: {record.not_calibrated}")
        asked = [variant for variant in job.options.variants if not VARIANTS[variant].exact]
        if asked:
            costs = measure_costs(model, component, record, asked, folder)
            notes += costs.notes
            record = msgspec.structs.replace(record, outputs=costs.of(record.outputs))
        generates = can_generate(component) or (from_encoder and name == DECODER)
        record = msgspec.structs.replace(record, generates=generates)
        write_record(record, folder, name)
        if record.generates:
            generation, note = (
                generate_from_encoder(model, components, job, folder)
                if from_encoder
                else generate_reference(model, job, folder, name)
            )
            write_record(generation, folder, name)
            notes += [note] if note else []
    return Reference(
        notes=notes,
        timings={"reference_load": loaded - started, "reference_run": time.perf_counter() - loaded},
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def component_reference(
    model: torch.nn.Module,
    name: str,
    onnx_config: OnnxConfig,
    given: Iterable[GivenCase],
    folder: Path,
) -> ComponentRecord:
    """Run ``model`` on the given cases, each with its inputs and the texts they come from; case files go to ``folder``.

    Raises:
        ExportError: PyTorch itself does not run a case, or the model lacks an output.
    """
    module = FlatModel(model, onnx_config)
    statistics = {output: _Statistics() for output in onnx_config.outputs}
    cases = []
    run = _run_where_choice_is_certain if onnx_config.CHOOSES_QUERIES else _run_as_given
    for number, (spec, given_inputs, texts) in enumerate(given):
        try:
            inputs, results, ranking = run(module, spec, given_inputs, onnx_config)
            if spec.left_out is not None and not _same_without(model, onnx_config, spec, inputs, results):
                continue
        except ExportError:
            if spec.is_extra:  # a length that positions do not reach, a token that means an image
                continue
            raise
        for output, array in results.items():
            axes = onnx_config.outputs[output]
            valid = valid_positions(inputs, array, axes, onnx_config.inputs)
            rows_differ = _batch_first(axes, onnx_config) and output not in onnx_config.CONSTANT_OUTPUTS
            statistics[output].add(array, valid, batch_first=rows_differ)
        file = f"{name}.{number}.safetensors"
        _save(folder / file, inputs, results, ranking)
        shape = axis_sizes(onnx_config.inputs, inputs) | axis_sizes(onnx_config.outputs, results)
        cases.append(
            CaseRecord(
                id=spec.id,
                file=file,
                mask=spec.padding,
                shape=shape,
                origin=spec.origin,
                varied=spec.varied,
                meaning=spec.meaning,
                texts=texts,
            )
        )
    calibration = calibrate(module, onnx_config, cases, folder)
    outputs = {
        output: OutputRecord(
            axes=dict(axes),
            class_atol=_class_atol(onnx_config, output),
            root_mean_square=statistics[output].root_mean_square,
            spread=statistics[output].spread,
            noise=calibration.noise.get(output),
        )
        for output, axes in onnx_config.outputs.items()
    }
    return ComponentRecord(
        name=name,
        task=onnx_config.task,
        is_whole_model=onnx_config.kind is ComponentKind.MODEL and not onnx_config.FILE_NAME,
        not_calibrated=calibration.problem,
        inputs={tensor: dict(axes) for tensor, axes in onnx_config.inputs.items()},
        outputs=outputs,
        cases=cases,
    )


def _all_cases(onnx_config: OnnxConfig, job: Job, parameters: int) -> tuple[Iterable[GivenCase], list[str]]:
    """The grid, and of what reads inputs of its own samples; with notes."""
    grid = plan_cases(onnx_config, seed=job.options.seed, extra=job.options.shapes, parameters=parameters)
    given = ((spec, spec.arrays(onnx_config), list[str]()) for spec in grid)
    if onnx_config.kind not in (ComponentKind.MODEL, ComponentKind.ENCODER):
        return given, []
    samples, notes = sample_cases(onnx_config, job)
    return itertools.chain(given, samples), notes


def _reach_notes(name: str, onnx_config: OnnxConfig, record: ComponentRecord) -> list[str]:
    """What no case reached, so that a pass is not taken for more than it is."""
    reached = max((positions(case.shape) for case in record.cases), default=0)
    beyond = [f"{one.name} ({one.length})" for one in unreached(onnx_config, reached)]
    return [f"{name}: not proven beyond {reached} positions, which leaves out {', '.join(beyond)}"] if beyond else []


def _run(module: FlatModel, spec: CaseSpec, inputs: Arrays, names: list[str]) -> Arrays:
    tensors = [torch.from_numpy(array) for array in inputs.values()]
    try:
        results = run_flat(module, tensors)
    except ExportError:
        raise
    except Exception as error:  # whatever the model's own code raises on this input
        text = (str(error).strip().splitlines() or [""])[0][:300]
        raise ExportError(
            f"PyTorch itself does not run the case {spec.id}: {type(error).__name__}: {text}",
            stage=Stage.VALIDATE,
            hint="the configuration class declares an axis or a size that the model cannot take",
        ) from error
    return {name: _as_numpy(tensor) for name, tensor in zip(names, results, strict=True)}


def _same_without(
    model: torch.nn.Module, onnx_config: OnnxConfig, spec: CaseSpec, inputs: Arrays, results: Arrays
) -> bool:
    """Whether the model takes the usual values of an input that is not given; ``results`` become those without it."""
    bare = _run(FlatModel(model, onnx_config, spec.left_out), spec, inputs, list(results))
    same = all(
        array.shape == results[name].shape and np.allclose(array, results[name], rtol=1e-4, atol=1e-4, equal_nan=True)
        for name, array in bare.items()
    )
    results |= bare if same else {}
    return same


def _run_as_given(
    module: FlatModel, spec: CaseSpec, inputs: Arrays, onnx_config: OnnxConfig
) -> tuple[Arrays, Arrays, Arrays]:
    return inputs, _run(module, spec, inputs, list(onnx_config.outputs)), {}


def _run_where_choice_is_certain(
    module: FlatModel, spec: CaseSpec, inputs: Arrays, onnx_config: OnnxConfig
) -> tuple[Arrays, Arrays, Arrays]:
    """Inputs, outputs and ranking of a case; of other values where rounding would decide which queries are chosen."""
    for attempt in range(1, _MOST_ATTEMPTS + 1):
        with _Choices() as choices:
            results = _run(module, spec, inputs, list(onnx_config.outputs))
        queries = next(iter(results.values())).shape[1]
        scores = choices.among_candidates(queries)
        if scores is None:
            return inputs, results, {}
        ranking = ranked(scores, queries)
        if choice_is_certain(ranking, queries) or attempt == _MOST_ATTEMPTS or spec.padding is Padding.SAMPLES:
            break
        inputs = replace(spec, seed=spec.seed + _SEED_STEP * attempt).arrays(onnx_config)
    return inputs, results, {RANKING: ranking}


class _Choices(TorchFunctionMode):
    """Notes what ``torch.topk`` chooses from while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: list[tuple[torch.Tensor, int]] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        chosen = func(*args, **(kwargs or {}))
        if func in (torch.topk, torch.Tensor.topk):
            self._seen.append((args[0], chosen.indices.shape[-1]))
        return chosen

    def among_candidates(self, queries: int) -> np.ndarray[Any, Any] | None:
        """The scores, (batch, candidates), of which as many were chosen as there are queries; None if none were."""
        found = (scores for scores, count in self._seen if scores.ndim == 2 and count == queries)  # noqa: PLR2004
        scores = next(found, None)
        return None if scores is None else scores.detach().numpy()


def _as_numpy(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    return _contiguous(tensor.detach().numpy())


def _contiguous(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """In row-major order; ``np.ascontiguousarray`` would make a row of a number."""
    return np.require(array, requirements="C")


def _save(path: Path, inputs: Arrays, outputs: Arrays, ranking: Arrays) -> None:
    tensors = {f"{INPUT_PREFIX}{name}": _contiguous(array) for name, array in inputs.items()}
    tensors |= {f"{OUTPUT_PREFIX}{name}": array for name, array in outputs.items()}
    save_file(tensors | ranking, path)


def _pieces(model: torch.nn.Module, job: Job) -> list[str]:
    """The tokenizer's tokens where it is the model's own: without files transformers may make up a small one."""
    pieces = vocabulary(job.folder)
    wanted = getattr(getattr(model, "config", None), "vocab_size", 0)
    return pieces if len(pieces) >= _MOST_OF_A_VOCABULARY * wanted else []


def _blank(model: torch.nn.Module) -> int:
    """The id that CTC leaves out: transformers' recognisers take the padding token for it."""
    blank = getattr(getattr(model, "config", None), "pad_token_id", None)
    return blank if isinstance(blank, int) else -1


def _class_atol(onnx_config: OnnxConfig, output: str) -> float:
    declared = onnx_config.ATOL_FOR_VALIDATION
    return declared.get(output, 1e-4) if isinstance(declared, dict) else declared


def _batch_first(axes: Mapping[int, str], onnx_config: OnnxConfig) -> bool:
    first = next(iter(onnx_config.inputs.values()), {})
    return 0 in axes and axes[0] == first.get(0)


class _Statistics:
    """Scale of an output, and how far it moves when the input changes, over all cases."""

    def __init__(self) -> None:
        self._energy = 0.0
        self._elements = 0
        self._lowest, self._highest = math.inf, -math.inf
        self.spread = 0.0

    def add(self, array: np.ndarray[Any, Any], valid: np.ndarray[Any, Any] | None, *, batch_first: bool) -> None:
        if array.dtype.kind not in "fiub" or array.size == 0:
            return
        finite = array
        if array.dtype.kind == "f" and not (chosen := ordinary_numbers(array)).all():
            valid = chosen if valid is None else valid & chosen
            finite = np.where(chosen, array, 0)
        selected = finite if valid is None else finite * valid
        self._energy += float(np.square(selected, dtype=np.float64).sum())
        self._elements += selected.size if valid is None else int(np.broadcast_to(valid, array.shape).sum())
        if batch_first and array.shape[0] > 1:
            rows = finite[:-1] - finite[1:] if array.dtype.kind != "b" else finite[:-1] ^ finite[1:]
            everywhere = None if valid is None else np.broadcast_to(valid, array.shape)
            both = True if everywhere is None else everywhere[:-1] & everywhere[1:]
            self.spread = max(self.spread, float(np.abs(rows * both).max(initial=0)))
        elif not batch_first:
            self._lowest = min(self._lowest, float(selected.min()))
            self._highest = max(self._highest, float(selected.max()))
            self.spread = max(self.spread, self._highest - self._lowest)

    @property
    def root_mean_square(self) -> float:
        return math.sqrt(self._energy / self._elements) if self._elements else 0.0
