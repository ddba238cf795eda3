"""A file in its runtime: opened as users open it, fed as its components want it, and stopped with a value.

Imports numpy and onnxruntime, never torch: this is what a user's own program looks like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from onnx_export_action.proving.arrays import Arrays
from onnx_export_action.proving.candidate.stopping import stopped
from onnx_export_action.proving.records import ComponentRecord
from onnx_export_action.vocabulary.names.cache_names import is_past
from onnx_export_action.vocabulary.names.components import TORCHSCRIPT_SUFFIX, USE_CACHE_BRANCH

_PRECISIONS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
_FATAL_ONLY = 4


@dataclass(frozen=True)
class Candidate:
    """A file in its runtime; ``records`` are the components that it holds: two of a merged decoder."""

    path: Path
    session: Any
    records: Sequence[ComponentRecord]

    def run(
        self, record: ComponentRecord, inputs: Mapping[str, np.ndarray[Any, Any]], outputs: Sequence[str] | None = None
    ) -> Arrays:
        """The outputs of one component (or those named) for its inputs.

        Raises:
            RuntimeStoppedError: the runtime gave an error.
        """
        names = list(record.outputs if outputs is None else outputs)
        try:
            return dict(zip(names, self.session.run(names, self.feeds(record, inputs)), strict=True))
        except Exception as error:  # onnxruntime raises its own unexported classes
            raise stopped(error) from error

    def feeds(self, record: ComponentRecord, inputs: Mapping[str, np.ndarray[Any, Any]]) -> Arrays:
        """What to feed the file to run one component with ``inputs``.

        A merged decoder takes every input of both branches; those of the other branch are empty. Numbers are given in
        the precision that the file declares for them: a variant may keep its cache in float16.
        """
        feeds = dict(inputs) if len(self.records) == 1 else self._feeds_of_merged(record, inputs)
        precisions = {value.name: _PRECISIONS.get(value.type) for value in self.session.get_inputs()}
        return {
            name: array.astype(precisions.get(name) or array.dtype, copy=False) if array.dtype.kind == "f" else array
            for name, array in feeds.items()
        }

    def _feeds_of_merged(self, record: ComponentRecord, inputs: Mapping[str, np.ndarray[Any, Any]]) -> Arrays:
        feeds = dict(inputs)
        with_past = any(is_past(name) for name in record.inputs)
        batch = next(iter(inputs.values())).shape[0]
        feeds[USE_CACHE_BRANCH] = np.array([with_past])
        for value in self.session.get_inputs():
            if value.name not in feeds:
                shape = [size if isinstance(size, int) else 0 for size in value.shape]
                feeds[value.name] = np.zeros([batch, *shape[1:]], np.float32)
        return feeds

    def empty_past(self, record: ComponentRecord, batch: int) -> Arrays:
        """A cache of length 0 for so many rows."""
        past: Arrays = {}
        for value in self.session.get_inputs():
            if is_past(value.name):
                named = record.inputs[value.name]
                sizes = [
                    batch if named.get(axis) == named.get(0) else 0 if axis in named else size
                    for axis, size in enumerate(value.shape)
                ]
                past[value.name] = np.zeros(sizes, np.float32)
        return past


def open_session(path: Path) -> Any:
    """A session with the defaults that users run with: all graph optimisations, CPU; or a TorchScript file like one.

    Raises:
        RuntimeStoppedError: the runtime does not load the file.
    """
    try:
        if path.suffix == TORCHSCRIPT_SUFFIX:
            # Imported here: torch takes seconds, and what checks an ONNX file is to be as light as a user's program.
            from onnx_export_action.proving.candidate.torchscript_session import TorchScriptSession

            return TorchScriptSession(path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _FATAL_ONLY
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own unexported classes for any unusable file
        raise stopped(error) from error
