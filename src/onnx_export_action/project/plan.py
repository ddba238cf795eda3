"""The plan: what is to be exported, from where, as what. A :class:`Job` is all that the later stages are given."""

from __future__ import annotations

from pathlib import Path

import msgspec


class OutputTolerance(msgspec.Struct, frozen=True, kw_only=True):
    """Declared tolerance of one output; None leaves that half to the default."""

    atol: float | None = None
    rtol: float | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One target, resolved: the model's files are on disk and its task is known."""

    name: str
    source: str
    folder: Path
    model_type: str
    task: str
    destination: Path
    revision: str | None = None
    weights: str = "load"
    seed: int = 0
    opset: int = 18
    engine: str = "auto"
    shapes: dict[str, list[int]] = {}
    samples: Path | None = None
    tolerance: dict[str, OutputTolerance] = {}
    default_tolerance: OutputTolerance = OutputTolerance()
    trust_remote_code: bool = False
    flat_layout: bool = False
    validate: bool = True

    @property
    def onnx_folder_name(self) -> str:
        """Folder of the ONNX files inside the artifact folder; the legacy call puts them at the top."""
        return "." if self.flat_layout else "onnx"
