"""The functions of optimum-onnx and transformers.onnx, for models that are in memory already.

They do what the command line does, in this process and for one file: the same engines, the same grid of inputs, the
same tolerances. The model is left as it was found. Both libraries' orders of arguments are understood.
"""

from __future__ import annotations

import copy
import math
import tempfile
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, overload

import torch

from onnx_export_action.exporting.engines import Recording, record
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.registry import TasksManager
from onnx_export_action.onnx_config.tasks import suggestion
from onnx_export_action.pipeline.installing import staging_folder
from onnx_export_action.proving.candidate.check import check_file
from onnx_export_action.proving.cases.grid import plan_cases
from onnx_export_action.proving.records import CandidateFile, write_record
from onnx_export_action.proving.reference.recording import component_reference
from onnx_export_action.traceable.calling import FirstOutput, ModelCall, model_call
from onnx_export_action.vocabulary.demands import DEFAULT_RTOL
from onnx_export_action.vocabulary.errors import ExportError, plan_error
from onnx_export_action.vocabulary.options import OutputTolerance, Tolerances
from onnx_export_action.vocabulary.results import FileResult, OutputResult, Stage
from onnx_export_action.vocabulary.supported.engines import ENGINES_OF_ONNX, Engine
from onnx_export_action.vocabulary.supported.opsets import USUAL_OPSET_OF_CONVERT
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT

__all__ = ["TasksManager", "ValidationError", "convert_to_onnx", "export", "validate_model_outputs"]

# Names of the arguments in the order of optimum-onnx, then in that of transformers.onnx.
_EXPORT_ORDERS = (
    ("base_model", "onnx_config", "path", "opset"),
    ("tokenizer", "base_model", "onnx_config", "opset", "path"),
)
_VALIDATION_ORDERS = (
    ("onnx_config", "base_model", "path", "output_names", "atol"),
    ("onnx_config", "tokenizer", "base_model", "path", "output_names", "atol"),
)
# What those libraries call the same arguments.
_SYNONYMS = {
    "config": "onnx_config",
    "model": "base_model",
    "onnx_model": "path",
    "onnx_named_outputs": "output_names",
    "output": "path",
    "preprocessor": "tokenizer",
    "reference_model": "base_model",
}

Atol = float | Mapping[str, float]


class ValidationError(ValueError):
    """The file does not compute what the model computes. ``result`` holds every case, None where none was run."""

    def __init__(self, message: str, result: FileResult | None = None) -> None:
        super().__init__(message)
        self.result = result


@overload
def export(
    base_model: torch.nn.Module,
    onnx_config: OnnxConfig,
    path: str | Path,
    opset: int | None = None,
    *,
    engine: str = "auto",
) -> tuple[list[str], list[str]]: ...


@overload
def export(
    tokenizer: Any,
    base_model: torch.nn.Module,
    onnx_config: OnnxConfig,
    opset: int | None,
    path: str | Path,
    *,
    engine: str = "auto",
) -> tuple[list[str], list[str]]: ...


def export(*positional: Any, engine: str = "auto", **named: Any) -> tuple[list[str], list[str]]:
    """Write one ONNX file from a model in memory; returns the names of its inputs and of its outputs.

    ``export(base_model, onnx_config, path, opset)`` or, as transformers.onnx had it,
    ``export(tokenizer, base_model, onnx_config, opset, path)``. The tokenizer is not used. An encoder-decoder's parts
    are each exported from the whole model, with ``onnx_config.get_encoder_onnx_config(...)`` and its like.

    The file is float32, so of a model in another precision a float32 copy is exported, with a warning. It reaches
    ``path`` complete or not at all; weights beyond 2 GB lie in ``<path>_data`` beside it. ``engine`` is auto (the
    tracer, then torch.export), tracer or torch-export; ``opset`` is the configuration's default where it is None.

    Raises:
        ExportError: the model is not on the CPU, no engine can export it, or the file cannot be written.
        TypeError: the arguments are in neither order.
    """
    arguments = _by_name("export", _EXPORT_ORDERS, positional, named)
    onnx_config: OnnxConfig = arguments["onnx_config"]
    opset = arguments.get("opset")
    model = _in_float32(arguments["base_model"])
    if engine not in ENGINES_OF_ONNX:
        raise plan_error(f"unknown engine {engine!r}", suggestion(engine, ENGINES_OF_ONNX, "engines"))
    call = model_call(model, onnx_config, onnx_config.generate_dummy_inputs("pt"))
    with _evaluation_mode(model):
        opset = onnx_config.default_onnx_opset if opset is None else opset
        recording = record(call, opset, Engine(engine)).recording
    _write(recording, Path(arguments["path"]), task=onnx_config.task, model_type=_model_type(model))
    return call.input_names, call.output_names


@overload
def validate_model_outputs(
    onnx_config: OnnxConfig,
    base_model: torch.nn.Module,
    path: str | Path,
    output_names: Collection[str],
    atol: Atol | None = None,
    *,
    rtol: float | None = None,
    seed: int = 0,
    shapes: Mapping[str, list[int]] | None = None,
) -> None: ...


@overload
def validate_model_outputs(
    onnx_config: OnnxConfig,
    tokenizer: Any,
    base_model: torch.nn.Module,
    path: str | Path,
    output_names: Collection[str],
    atol: Atol | None = None,
    *,
    rtol: float | None = None,
    seed: int = 0,
    shapes: Mapping[str, list[int]] | None = None,
) -> None: ...


def validate_model_outputs(
    *positional: Any,
    rtol: float | None = None,
    seed: int = 0,
    shapes: Mapping[str, list[int]] | None = None,
    **named: Any,
) -> None:
    """Prove that the file at ``path`` computes what ``base_model`` computes; returns nothing when it does.

    ``validate_model_outputs(onnx_config, base_model, path, output_names, atol)`` or, as transformers.onnx had it, with
    a tokenizer (not used) after the configuration. All outputs of the configuration are compared on the grid that the
    command line uses: every dynamic axis varied alone, then together, unpadded and padded on either side.

    An element passes when ``|onnx - torch| <= atol + rtol * |torch|``. ``atol`` is a number or a mapping by output
    name, ``rtol`` beside it is 1e-4 by default. Where ``atol`` is None the tolerance is calibrated: a multiple of the
    model's own rounding noise, float32 beside float64.
    ``shapes`` are further sizes to try, by shape argument: ``{"sequence_length": [64]}``.

    Raises:
        ValidationError: names, shapes or values differ, NaN or Inf appear in other places, ONNX Runtime does not run
            the file, or the model's outputs do not vary with its inputs, so that agreement would prove nothing.
        ExportError: PyTorch itself does not run a case, or the model is not on the CPU.
        TypeError: the arguments are in neither order.
    """
    arguments = _by_name("validate_model_outputs", _VALIDATION_ORDERS, positional, named)
    onnx_config: OnnxConfig = arguments["onnx_config"]
    path = Path(arguments["path"])
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    _require_declared(arguments.get("output_names"), onnx_config)
    tolerances = _tolerances(arguments.get("atol"), rtol)
    model = _in_float32(arguments["base_model"])
    name = onnx_config.kind.value
    grid = plan_cases(onnx_config, seed=seed, extra=shapes)
    cases = ((spec, spec.arrays(onnx_config), list[str]()) for spec in grid)
    with tempfile.TemporaryDirectory(prefix="onnx-export-reference-") as folder, _evaluation_mode(model):
        record = component_reference(model, name, onnx_config, cases, Path(folder))
        write_record(record, Path(folder), name)
        asked = CandidateFile(path=path, name=path.name, components=[name], engine="unknown")
        result = check_file(tolerances, asked, Path(folder)).result
    if result.failure is not None:
        raise ValidationError(_explained(path, result), result)


def convert_to_onnx(
    model_pytorch: torch.nn.Module,
    output_path: str | Path,
    inputs_pytorch: Mapping[str, torch.Tensor],
    opset: int = USUAL_OPSET_OF_CONVERT,
) -> None:
    """Trace any PyTorch model with the given inputs, without a configuration class.

    Inputs keep their names and order, and are handed to the model by name where its ``forward`` has those names. The
    first output is called ``output``. Axes 0 and 1 of every input are dynamic: ``batch_size`` and ``sequence``.

    Raises:
        ExportError: the model is not on the CPU or does not take these inputs, the tracer cannot export it, or the
            file cannot be written.
    """
    model = _in_float32(model_pytorch)
    inputs = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in inputs_pytorch.items()}
    module = FirstOutput(model, list(inputs))
    with _evaluation_mode(model):
        output = _output_of(module, inputs)
        axes = {name: _first_two_axes(tensor) for name, tensor in inputs.items()}
        lengths = {tensor.shape[1] for tensor in inputs.values() if tensor.ndim > 1}
        per_token = output.ndim > 1 and output.shape[1] in lengths
        axes["output"] = {0: "batch_size", 1: "sequence"} if per_token else {0: "batch_size"}
        call = ModelCall(module, list(inputs), ["output"], inputs, axes)
        recording = record(call, opset, Engine.TRACER).recording
    _write(recording, Path(output_path), task="unknown", model_type=_model_type(model))


def _output_of(module: FirstOutput, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    try:
        with torch.inference_mode():
            return module(*inputs.values())[0]
    except Exception as error:  # whatever the model's own code raises on these inputs
        raise ExportError(
            f"PyTorch itself does not run the model on {', '.join(inputs)}: {type(error).__name__}: {error}",
            stage=Stage.EXPORT,
        ) from error


def _first_two_axes(tensor: torch.Tensor) -> dict[int, str]:
    return {axis: name for axis, name in enumerate(("batch_size", "sequence")) if axis < tensor.ndim}


def _by_name(
    function: str, orders: tuple[tuple[str, ...], ...], positional: tuple[Any, ...], named: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments under one set of names, in whichever order they came."""
    given = {_SYNONYMS.get(name, name): value for name, value in named.items()}
    for order in orders:
        first = dict(zip(order, positional, strict=False))
        fits = len(positional) <= len(order) and given.keys() <= set(order) - first.keys()
        arguments = first | given
        if (
            fits
            and isinstance(arguments.get("onnx_config"), OnnxConfig)
            and isinstance(arguments.get("base_model"), torch.nn.Module)
            and isinstance(arguments.get("path"), (str, Path))
        ):
            return arguments
    calls = " or ".join(f"{function}({', '.join(order)})" for order in orders)
    found = ", ".join(
        [type(value).__name__ for value in positional] + [f"{k}={type(v).__name__}" for k, v in named.items()]
    )
    message = f"call {calls}, with a PyTorch model, an OnnxConfig and a path; got ({found})"
    raise TypeError(message)


def _in_float32(model: torch.nn.Module) -> torch.nn.Module:
    """The model itself, or a float32 copy where it computes in another precision.

    Raises:
        ExportError: part of it is not on the CPU.
    """
    tensors = [*model.parameters(), *model.buffers()]
    elsewhere = sorted({str(tensor.device) for tensor in tensors if tensor.device.type != "cpu"})
    if elsewhere:
        raise plan_error(f"the model is on {', '.join(elsewhere)}", "move it to the CPU first: model.cpu()")
    others = {str(t.dtype) for t in tensors if t.is_floating_point() and t.dtype is not torch.float32}
    if not others:
        return model
    warnings.warn(f"the model holds {', '.join(sorted(others))}; a float32 copy of it is used", stacklevel=3)
    return copy.deepcopy(model).to(torch.float32)


@contextmanager
def _evaluation_mode(model: torch.nn.Module) -> Iterator[None]:
    """Dropout and the like off; afterwards every module is in the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _model_type(model: torch.nn.Module) -> str:
    return str(getattr(getattr(model, "config", None), "model_type", type(model).__name__))


def _write(recording: Recording, path: Path, *, task: str, model_type: str) -> None:
    """Write aside, then rename; the weights' own file first, as the graph points to it."""
    if path.is_dir():
        raise plan_error(f"{path} is a folder", f"give the name of a file, such as {path / 'model.onnx'}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with staging_folder(path.parent) as staging:
            written = recording.write(staging / path.name, [path.stem], task=task, model_type=model_type)
            for file in (*written.external_data, written):
                (staging / file.path).replace(path.with_name(file.path))
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror or error}", stage=Stage.EXPORT) from error


def _require_declared(output_names: Collection[str] | None, onnx_config: OnnxConfig) -> None:
    declared = list(onnx_config.outputs)
    unknown = [name for name in output_names or () if name not in declared]
    if not unknown and output_names:
        return
    named = f"output_names holds {', '.join(map(repr, unknown))}" if unknown else "output_names holds no name"
    message = f"{named}; {type(onnx_config).__name__} for {onnx_config.task} has the outputs: {', '.join(declared)}"
    raise ValidationError(message)


def _tolerances(atol: Atol | None, rtol: float | None) -> Tolerances:
    numbers = list(atol.values()) if isinstance(atol, Mapping) else [] if atol is None else [atol]
    if not all(0.0 < number < math.inf for number in numbers):
        raise plan_error(f"atol must be above 0, not {atol!r}")
    if rtol is not None and not 0.0 <= rtol < math.inf:
        raise plan_error(f"rtol must not be below 0, not {rtol!r}")
    if isinstance(atol, Mapping):
        by_output = {
            name: OutputTolerance(atol=number, rtol=DEFAULT_RTOL if rtol is None else rtol)
            for name, number in atol.items()
        }
        return Tolerances(of_variants={REFERENCE_VARIANT: by_output}, of_every_output=OutputTolerance(rtol=rtol))
    beside = DEFAULT_RTOL if atol is not None and rtol is None else rtol
    return Tolerances(of_every_output=OutputTolerance(atol=atol, rtol=beside))


def _explained(path: Path, result: FileResult) -> str:
    assert result.failure is not None
    lines = [f"{path}: {result.failure.message}"]
    lines += [
        f"tolerance of {output.name}: {output.atol:.3g} + {output.rtol:.3g} * |value|"
        for output in result.outputs
        if _is_wrong(output)
    ]
    return "\n".join([*lines, result.failure.hint or ""]).strip()


def _is_wrong(output: OutputResult) -> bool:
    return output.vacuous or bool(output.nan_mismatch) or (output.margin is not None and output.margin > 1.0)
