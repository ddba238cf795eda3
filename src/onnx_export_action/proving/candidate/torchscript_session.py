"""A TorchScript file as its users run it: loaded anew by libtorch, and asked as ONNX Runtime's sessions are.

Only for files whose hash is that of the export: a TorchScript file is a program, and one from elsewhere is never run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onnx_export_action.graphs.torchscript_signature import read_signature
from onnx_export_action.proving.candidate.stopping import stopped


@dataclass(frozen=True)
class Argument:
    """An input or output: its axes are sizes, or names where they vary. It takes numbers as they are given."""

    name: str
    shape: list[int | str | None]
    type: str = ""


class TorchScriptSession:
    """The part of ``onnxruntime.InferenceSession`` that validation uses."""

    def __init__(self, path: Path) -> None:
        signature = read_signature(path)
        self._inputs = [Argument(name, [*record.shape]) for name, record in signature.inputs.items()]
        self._outputs = [Argument(name, [*record.shape]) for name, record in signature.outputs.items()]
        self._program = torch.jit.load(str(path), map_location="cpu").eval()

    def get_inputs(self) -> list[Argument]:
        """The inputs in order."""
        return self._inputs

    def get_outputs(self) -> list[Argument]:
        """The outputs in order."""
        return self._outputs

    def get_overridable_initializers(self) -> list[Argument]:
        """Inputs that may be left out: a program has none."""
        return []

    def run(self, names: Sequence[str], feeds: Mapping[str, np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        """The named outputs for the inputs by name.

        Raises:
            RuntimeStoppedError: the program raised an error; its last line says which, after a traceback.
        """
        tensors = [torch.from_numpy(np.array(feeds[value.name])) for value in self._inputs]
        try:
            with torch.inference_mode():
                results = self._program(*tensors)
        except (RuntimeError, torch.jit.Error) as error:
            raise stopped(error, line=-1) from error
        found = dict(zip((value.name for value in self._outputs), results, strict=True))
        return [np.require(found[name].numpy(), requirements="C") for name in names]
