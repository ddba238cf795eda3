"""What crosses between the processes of a validation, as plain values. Imports neither torch nor onnxruntime.

The reference process leaves an index, and one safetensors file a case; the candidate process reads them.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from onnx_export_action.results import FileResult

REFERENCE_INDEX = "reference.json"
INPUT_PREFIX, OUTPUT_PREFIX = "input:", "output:"
_POLL_SECONDS = 0.01


class CaseRecord(msgspec.Struct, kw_only=True):
    """One case that PyTorch ran. ``file`` holds its inputs and outputs; ``shape`` is axis name to size."""

    id: str
    file: str
    mask: str
    shape: dict[str, int]
    varied: str | None = None
    texts: list[str] = []


class OutputRecord(msgspec.Struct, kw_only=True):
    """An output over all cases: its root mean square, and how far it moves between inputs."""

    axes: dict[int, str]
    class_atol: float
    root_mean_square: float = 0.0
    spread: float = 0.0


class GenerationRecord(msgspec.Struct, kw_only=True):
    """Greedy tokens of ``model.generate`` and, for each, the two largest logits; arrays are in ``file``."""

    file: str
    prompts: int
    tokens: int


class ComponentRecord(msgspec.Struct, kw_only=True):
    """The reference of one exported component; ``name`` is the file's stem."""

    name: str
    inputs: dict[str, dict[int, str]]
    outputs: dict[str, OutputRecord]
    cases: list[CaseRecord]
    generation: GenerationRecord | None = None


class Reference(msgspec.Struct, kw_only=True):
    """The content of the index file."""

    components: list[ComponentRecord]
    notes: list[str] = []
    timings: dict[str, float] = {}
    peak_rss_bytes: int = 0

    def component(self, name: str) -> ComponentRecord:
        """Find one component by its file's stem."""
        return next(component for component in self.components if component.name == name)


def write_reference(reference: Reference, folder: Path) -> None:
    """Write the index last: where it is, every case file is complete."""
    partial = folder / f"{REFERENCE_INDEX}.partial"
    partial.write_bytes(msgspec.json.encode(reference))
    partial.rename(folder / REFERENCE_INDEX)


def wait_for_reference(folder: Path) -> Reference:
    """Read the index that :func:`write_reference` writes, waiting until it is there.

    The candidate loads its file meanwhile; whoever started both ends the wait when the reference fails.
    """
    while not (folder / REFERENCE_INDEX).exists():
        time.sleep(_POLL_SECONDS)
    return msgspec.json.decode((folder / REFERENCE_INDEX).read_bytes(), type=Reference)


class CandidateFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file to check. ``components`` names the reference records it must match: two for a merged decoder.

    An ``opset`` of 0 is read from the file itself.
    """

    path: Path
    name: str
    components: list[str]
    engine: str
    opset: int = 0
    sha256: str | None = None
    variant: str = "fp32"


class CheckedFile(msgspec.Struct, frozen=True, kw_only=True):
    """What the candidate process answers, or what stands in for its answer when it died."""

    result: FileResult
    seconds: float
    peak_rss_bytes: int
    died: bool = False
