"""What crosses between the processes of a validation, as plain values. Imports neither torch nor onnxruntime.

The reference process leaves one safetensors file a case, and a record of each component as soon as all its cases are
there; the candidate process reads them, and waits for those that are still to come.
"""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from onnx_export_action.vocabulary.results import FileResult, LayerResult, Padding
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT

INPUT_PREFIX, OUTPUT_PREFIX = "input:", "output:"
RANKING = "ranking"
PADDING_COUNTS = "what stands at padded positions changes the answer: the mask is ignored or misread"
_POLL_SECONDS = 0.01


class CaseOrigin(enum.StrEnum):
    """Why a case is tried."""

    BASE = "base"  # the sizes of the export
    GRID = "grid"
    USER = "user"  # sizes that the user asks for


class Meaning(enum.StrEnum):
    """What the inputs of a case say that those of others do not."""

    HOLES = "holes in the mask"
    SPECIAL_TOKENS = "special tokens inside"
    SHIFTED_POSITIONS = "shifted positions"
    PACKED_POSITIONS = "packed positions"
    SILENCE = "silence"  # of an image: one colour
    EXTREMES = "extremes"  # loudest, brightest and darkest


class CaseRecord(msgspec.Struct, kw_only=True):
    """One case that PyTorch ran. ``file`` holds its inputs and outputs; ``shape`` is axis name to size.

    Where the model chooses its queries, the file holds the scores by which it did under ``RANKING``.
    """

    id: str
    file: str
    mask: Padding
    shape: dict[str, int]
    origin: CaseOrigin = CaseOrigin.GRID
    varied: str | None = None
    meaning: Meaning | None = None
    texts: list[str] = []


class NoiseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How far the model in float32 is from itself in float64: the largest of ``cases``, over ``elements`` in all."""

    max_abs: float
    root_mean_square: float
    elements: int
    cases: int


class PrecisionCost(msgspec.Struct, kw_only=True, frozen=True):
    """What rounding the model as a variant does costs one output: root mean square and largest size of the error.

    ``chance_db`` is how many decibels more another rounding of the same precision may cost, by chance.
    """

    root_mean_square: float
    max_abs: float
    chance_db: float = 0.0


class OutputRecord(msgspec.Struct, kw_only=True):
    """An output over all cases: its root mean square, how far it moves between inputs, and its rounding noise.

    ``costs`` is by variant; a variant whose rounding PyTorch could not show is missing.
    """

    axes: dict[int, str]
    class_atol: float
    root_mean_square: float = 0.0
    spread: float = 0.0
    noise: NoiseRecord | None = None
    costs: dict[str, PrecisionCost] = {}


def joined(records: Sequence[OutputRecord]) -> OutputRecord:
    """One output that several components of a file give: the widest of what was measured; noise only where all have it.

    The scale is the last one's. What a variant costs is the mean over the components, and the largest error.
    """
    noises = [record.noise for record in records if record.noise is not None]
    widest = None
    if len(noises) == len(records):
        widest = NoiseRecord(
            max_abs=max(noise.max_abs for noise in noises),
            root_mean_square=max(noise.root_mean_square for noise in noises),
            elements=sum(noise.elements for noise in noises),
            cases=sum(noise.cases for noise in noises),
        )
    variants = set.intersection(*(set(record.costs) for record in records))
    costs = {variant: _joined_cost([record.costs[variant] for record in records]) for variant in variants}
    return msgspec.structs.replace(
        records[-1], spread=max(record.spread for record in records), noise=widest, costs=costs
    )


def _joined_cost(costs: Sequence[PrecisionCost]) -> PrecisionCost:
    energy = sum(cost.root_mean_square**2 for cost in costs) / len(costs)
    return PrecisionCost(
        root_mean_square=math.sqrt(energy),
        max_abs=max(cost.max_abs for cost in costs),
        chance_db=max(cost.chance_db for cost in costs),
    )


class GenerationRecord(msgspec.Struct, kw_only=True):
    """Greedy tokens of ``model.generate``; the arrays are in ``file``, None where PyTorch itself cannot generate."""

    file: str | None = None
    prompts: int = 0
    tokens: int = 0


class ComponentRecord(msgspec.Struct, kw_only=True):
    """The reference of one exported component; ``name`` is the file's stem.

    ``is_whole_model`` says that it is no part of a model in several files. ``pieces`` are the tokens of a speech
    recogniser by id, ``blank`` is the id that stands for none.
    ``generates`` says that a :class:`GenerationRecord` follows, ``not_calibrated`` why no output has a ``noise``.
    """

    name: str
    inputs: dict[str, dict[int, str]]
    outputs: dict[str, OutputRecord]
    cases: list[CaseRecord]
    task: str = ""
    is_whole_model: bool = False
    pieces: list[str] = []
    blank: int = -1
    generates: bool = False
    not_calibrated: str | None = None


class Reference(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What the reference process answers when all is done."""

    notes: list[str] = []
    timings: dict[str, float] = {}
    peak_rss_bytes: int = 0


def write_record(record: ComponentRecord | GenerationRecord, folder: Path, component: str) -> None:
    """Write a record after the files that it names: where it is, they are complete."""
    path = folder / _record_name(type(record), component)
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.encode(record))
    partial.rename(path)


def components_in(folder: Path) -> frozenset[str]:
    """The components whose records are complete."""
    ending = _record_name(ComponentRecord, "")
    return frozenset(path.name.removesuffix(ending) for path in folder.glob(f"*{ending}"))


class ReferenceReader:
    """Reads records as they come; whoever started the reference ends the wait when it fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds_waited = 0.0

    def component(self, name: str) -> ComponentRecord:
        """The record of one component."""
        return msgspec.json.decode(self._wait_for(ComponentRecord, name), type=ComponentRecord)

    def generation(self, name: str) -> GenerationRecord:
        """The record of a component's generation."""
        return msgspec.json.decode(self._wait_for(GenerationRecord, name), type=GenerationRecord)

    def _wait_for(self, kind: type[msgspec.Struct], component: str) -> bytes:
        path = self.folder / _record_name(kind, component)
        started = time.perf_counter()
        while not path.exists():
            time.sleep(_POLL_SECONDS)
        self.seconds_waited += time.perf_counter() - started
        return path.read_bytes()


def _record_name(kind: type[msgspec.Struct], component: str) -> str:
    return f"{component}.{kind.__name__}.json"


class CandidateFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file to check. ``components`` names the reference records it must match: two for a merged decoder.

    An ``opset`` of 0 is read from the file itself. ``exact`` is the proven fp32 file whose weights a variant must
    store, None where there is none. ``timed`` asks for the time of a call.
    """

    path: Path
    name: str
    components: list[str]
    engine: str
    opset: int = 0
    sha256: str | None = None
    variant: str = REFERENCE_VARIANT
    exact: Path | None = None
    timed: bool = False


class CheckedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the candidate process answers, or what stands in for its answer when it died."""

    result: FileResult
    seconds: float
    peak_rss_bytes: int
    died: bool = False


class WeightFindings(msgspec.Struct, frozen=True, kw_only=True):
    """``changed`` names weights that the file holds with other values; ``foreign`` says that most are such."""

    changed: list[str] = []
    foreign: bool = False


class Explanation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was found out; every part may be missing.

    ``padding_counts`` says that what stands at padded positions matters to the file and not to PyTorch.
    """

    trigger: str | None = None
    weights: WeightFindings = WeightFindings()
    padding_counts: bool = False
    layers: list[LayerResult] = []
    first_divergent_layer: str | None = None
