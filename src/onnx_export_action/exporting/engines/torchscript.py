"""The TorchScript format: a model traced to a program that libtorch runs without Python.

In order: the weights that the model ties are cloned, the flat call is traced under the inputs' own names, the program
is saved with a description of its inputs and outputs. What tracing fixes (a size that the model's code reads in Python)
nothing here can tell: the grid of inputs finds it, as it does for any file.

https://docs.pytorch.org/docs/stable/generated/torch.jit.trace.html
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from onnx_export_action.graphs.torchscript_signature import SIGNATURE_NAME, Signature
from onnx_export_action.project.manifest import sha256_of
from onnx_export_action.traceable import traced_as
from onnx_export_action.traceable.calling import ModelCall
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.manifest import OnnxFileRecord, TensorRecord
from onnx_export_action.vocabulary.names.components import TORCHSCRIPT_SUFFIX
from onnx_export_action.vocabulary.names.external_data import SHARD_BYTES
from onnx_export_action.vocabulary.results import Stage
from onnx_export_action.vocabulary.supported.engines import Engine
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT


@dataclass(frozen=True)
class ProgramRecording:
    """A traced program, and what it takes and gives."""

    program: Any
    signature: Signature
    suffix = TORCHSCRIPT_SUFFIX

    @property
    def weights(self) -> set[str]:
        """Names of the parameters and buffers that the program reads, as the model names them."""
        graph = self.program.inlined_graph  # its nodes live as long as it does
        names: dict[str, str] = {}
        for node in graph.findAllNodes("prim::GetAttr"):
            owner = names.get(node.inputsAt(0).debugName(), "")
            names[node.output().debugName()] = f"{owner}.{node.s('name')}".removeprefix(".")
        tensors = {name for name, _ in (*self.program.named_parameters(), *self.program.named_buffers())}
        return {name.removeprefix("model.") for name in tensors.intersection(names.values())}

    def write(
        self,
        path: Path,
        components: list[str],
        *,
        task: str,  # noqa: ARG002 - a program does not say it
        model_type: str,  # noqa: ARG002
        shard_bytes: int = SHARD_BYTES,  # noqa: ARG002 - one file is all that the format has
    ) -> OnnxFileRecord:
        """Write the program, with its description inside; nothing is left where that fails."""
        try:
            torch.jit.save(self.program, str(path), _extra_files={SIGNATURE_NAME: msgspec.json.encode(self.signature)})
        except RuntimeError as error:
            path.unlink(missing_ok=True)
            if _could_not_write(error):
                raise OSError(None, _first_line(error)) from error
            raise ExportError(f"TorchScript cannot save the model: {_first_line(error)}", stage=Stage.EXPORT) from error
        return OnnxFileRecord(
            path=path.name,
            bytes=path.stat().st_size,
            sha256=sha256_of(path),
            components=components,
            variant=REFERENCE_VARIANT,
            engine=Engine.TORCHSCRIPT,
            opset=0,
            inputs=self.signature.inputs,
            outputs=self.signature.outputs,
        )


def _could_not_write(error: RuntimeError) -> bool:
    """Whether libtorch's writer stopped, as on a full disk: it has no error of its own for that (torch 2.9 to 2.13)."""
    return "PytorchStreamWriter" in str(error)


def record(call: ModelCall, opset: int = 0) -> ProgramRecording:  # noqa: ARG001 - programs have no opset
    """Trace one component.

    The program's arguments have the names of the ONNX inputs, with ``_`` for dots; its result is a tuple in the order
    of ``output_names``.

    Raises:
        ExportError: the model cannot be traced.
    """
    inputs = tuple(call.dummy_inputs[name] for name in call.input_names)
    untie_weights(call.module)
    with (
        _quiet(),
        torch.no_grad(),
        _named_arguments(call),
        _functions_without_gradients(),
        traced_as(Engine.TORCHSCRIPT, call.module, call.patches),
    ):
        try:
            outputs = call.module(*inputs)
            # The grid compares with a model of its own; torch's check would run this one thrice more.
            program = torch.jit.trace(call.module, inputs, check_trace=False)
        except ExportError:
            raise
        except Exception as error:  # tracing raises whatever the model's own code raises
            raise ExportError(
                f"TorchScript cannot trace the model: {_first_line(error)}",
                stage=Stage.EXPORT,
                hint="its code does what a trace cannot hold; the ONNX format has a second engine: --format onnx",
            ) from error
    tensors = dict(zip((*call.input_names, *call.output_names), (*inputs, *outputs), strict=True))
    records = {name: _record(tensor, call.dynamic_axes.get(name, {})) for name, tensor in tensors.items()}
    signature = Signature(
        inputs={name: records[name] for name in call.input_names},
        outputs={name: records[name] for name in call.output_names},
    )
    return ProgramRecording(program, signature)


def untie_weights(module: torch.nn.Module) -> None:
    """Give every module parameters of its own: what a program shares, a fine-tuning of it would share no more.

    As ``torchscript=True`` of transformers 4 did
    (https://huggingface.co/docs/transformers/v4.57.0/torchscript#torchscript-flag-and-tied-weights).
    """
    seen: set[int] = set()
    for owner in module.modules():
        for name, parameter in owner.named_parameters(recurse=False, remove_duplicate=False):
            if id(parameter) in seen:
                setattr(owner, name, torch.nn.Parameter(parameter.detach().clone(), parameter.requires_grad))
            seen.add(id(parameter))


def _record(tensor: torch.Tensor, names: Mapping[int, str]) -> TensorRecord:
    shape = [names.get(axis, int(size)) for axis, size in enumerate(tensor.shape)]
    return TensorRecord(dtype=str(tensor.dtype).removeprefix("torch."), shape=shape)


@contextmanager
def _named_arguments(call: ModelCall) -> Iterator[None]:
    """Let the trace see the inputs' names: of ``*tensors`` it would make names of its own."""
    names = [name.replace(".", "_") for name in call.input_names]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    forward = type(call.module).forward
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in ("self", *names)])
    forward.__signature__ = signature  # what `inspect` reads
    try:
        yield
    finally:
        del forward.__signature__


@contextmanager
def _functions_without_gradients() -> Iterator[None]:
    """Trace into each ``torch.autograd.Function``: a file cannot hold a call of Python, as BLOOM's GELU would be."""
    apply = torch.autograd.Function.__dict__["apply"]

    def forward(cls: Any, *arguments: Any) -> Any:
        keeps_context_apart = cls.setup_context is not torch.autograd.function._SingleLevelFunction.setup_context
        context = () if keeps_context_apart else (torch.autograd.function.FunctionCtx(),)
        return cls.forward(*context, *arguments)

    torch.autograd.Function.apply = classmethod(forward)
    try:
        yield
    finally:
        torch.autograd.Function.apply = apply


@contextmanager
def _quiet() -> Iterator[None]:
    # Every size that a model reads in Python gives a TracerWarning; whether it matters is what validation finds out.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:2])[:400]}"
