"""The engines that record a model, behind one interface.

Each has a module with ``record``, loaded when it is first needed; what it gives knows how to write itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple, Protocol

from onnx_export_action.traceable.calling import ModelCall
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.manifest import OnnxFileRecord
from onnx_export_action.vocabulary.names.external_data import SHARD_BYTES
from onnx_export_action.vocabulary.supported.engines import AUTO_ORDER, Engine


class Recording(Protocol):
    """A model as an engine recorded it."""

    @property
    def suffix(self) -> str:
        """What the name of its file ends in."""

    @property
    def weights(self) -> Collection[str]:
        """The weights that it reads, as the model names them."""

    def write(
        self, path: Path, components: list[str], *, task: str, model_type: str, shard_bytes: int = SHARD_BYTES
    ) -> OnnxFileRecord:
        """Write the file, which computes these components; the record's paths are relative to its folder.

        A file that would exceed ``shard_bytes`` has its weights in pieces beside it, where its format can.

        Raises:
            ExportError: it holds what a file cannot.
            OSError: it cannot be written.
        """


class EngineModule(Protocol):
    """What the module of an engine has."""

    def record(self, call: ModelCall, opset: int) -> Recording:
        """Record one file's call.

        Raises:
            ExportError: the engine cannot record this model, or does not write this opset.
        """


_MODULES = {Engine.TRACER: "tracer", Engine.TORCH_EXPORT: "torch_export", Engine.TORCHSCRIPT: "torchscript"}


def engine_of(engine: Engine) -> EngineModule:
    """The module of an engine: torch.export takes seconds to import, and most exports never need it."""
    return importlib.import_module(f"{__name__}.{_MODULES[engine]}")


class Recorded(NamedTuple):
    """A recording and, by engine, why those that were tried before it could not make it."""

    recording: Recording
    failures: dict[Engine, ExportError]


def record(call: ModelCall, opset: int, engine: Engine) -> Recorded:
    """Record with one engine; with auto, with the first that can.

    Raises:
        ExportError: none that may be used can.
    """
    failures: dict[Engine, ExportError] = {}
    for one in AUTO_ORDER if engine == Engine.AUTO else (engine,):
        try:
            return Recorded(engine_of(one).record(call, opset), failures)
        except ExportError as error:
            failures[one] = error
    *_, last = failures.values()
    if len(failures) == 1:
        raise last
    message = "; ".join(error.message for error in failures.values())
    raise ExportError(message, stage=last.stage, hint=last.hint) from last
