"""The typed result: the one vocabulary that validation writes and report and publish read.

``result.json`` is one :class:`TargetResult`. Nothing here imports torch, transformers or onnxruntime.
Numbers that a model produced may be NaN or infinite; JSON has no word for them, so metrics are ``None`` there
and ``nan_mismatch`` says how many places disagree.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec

from onnx_export_action.vocabulary.choices import Weights

SCHEMA_VERSION = 1

MAX_RESULT_BYTES = 16 * 1024 * 1024
"""The largest result file that is read; a real one of three large files has half a megabyte."""


class Verdict(enum.StrEnum):
    """What a check concluded."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"  # it ran and is wrong
    ERROR = "error"  # it did not run


class Stage(enum.StrEnum):
    """Where a target stopped."""

    PLAN = "plan"  # the configuration or the model's own files name something that cannot be exported
    LOAD = "load"  # the weights, the configuration or the processor could not be loaded
    EXPORT = "export"
    VALIDATE = "validate"
    WRITE = "write"  # the result or the report could not be written
    PUBLISH = "publish"


class ExitCode(enum.IntEnum):
    """Exit codes of the command line and of the action."""

    PASSED = 0
    FAILED = 1
    USAGE = 2
    ERROR = 3
    PUBLISHING = 4
    INTERRUPTED = 130


class FailOn(enum.StrEnum):
    """What makes a run fail; each word includes the one before it, but for never."""

    EXPORT = "export"
    VALIDATION = "validation"
    REGRESSION = "regression"
    NEVER = "never"


class _Struct(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of all result structs: keyword only, unknown fields refused."""


class Cause(enum.StrEnum):
    """What kind of thing is wrong with a file that was checked."""

    FILE = "file"  # it cannot be read or run, or its weights are another model's
    NAMES = "names"  # inputs or outputs are missing, exchanged or of another type
    AXIS = "axis"  # a size is fixed, or some sizes are computed wrongly
    MASK = "mask"  # padding is not left out, or shifts what follows it
    PAST = "past"  # the cache of keys and values
    VALUES = "values"  # it computes something else, whatever the shape


class ToleranceSource(enum.StrEnum):
    """Where a tolerance, or a demand for decibels, comes from."""

    DECLARED = "declared"  # by the user
    CALIBRATED = "calibrated"  # measured on the model itself
    DEFAULT = "default"  # a table's


class Padding(enum.StrEnum):
    """How the rows of a case are padded, as its mask says."""

    NONE = "none"
    LEFT = "left"
    RIGHT = "right"
    MIXED = "mixed"
    SAMPLES = "samples"  # a tokenizer or processor made the case
    EMPTY_ROW = "empty row"  # one row of the batch is padding altogether, as where a batch is filled up


class CaseProblem(enum.StrEnum):
    """In which way a case fails."""

    STOPPED = "stopped"  # the runtime gave an error
    STOPPED_OVER_SIZES = "stopped over sizes"  # the same, and its words are about shapes
    DECLARATION = "declaration"  # the file declares a size that an output has not
    SHAPE = "shape"  # an output has another shape than PyTorch's
    DTYPE = "dtype"
    NOT_FINITE = "not finite"  # NaN or infinite on one side alone
    VALUES = "values"


STOPS = frozenset({CaseProblem.STOPPED, CaseProblem.STOPPED_OVER_SIZES})
"""The case gave no outputs."""


class LayerResult(_Struct):
    """What a module of the PyTorch model gives against the nearest value inside the ONNX graph.

    ``error`` is the root mean square of the difference, as a share of the root mean square of PyTorch's values.
    """

    name: str
    error: float | None


class Failure(_Struct):
    """Why a target or file did not pass, in words for the person who reads the report.

    ``trigger`` is the smallest input that shows it, ``layers`` what the modules give on that input, in the order in
    which they end; ``repro`` is a folder beside the artifact folder. ``config_keys`` are the keys of the model's
    ``config.json`` that are at fault: none of them, the whole file; None, it is not at fault.
    """

    stage: Stage
    message: str
    hint: str | None = None
    cause: Cause | None = None
    trigger: str | None = None
    layers: list[LayerResult] = []
    first_divergent_layer: str | None = None
    repro: str | None = None
    config_keys: list[str] | None = None


class ModelInfo(_Struct):
    """What was exported. ``sha256`` covers the configuration and every weight file."""

    source: str
    revision: str | None = None
    sha256: str | None = None
    model_type: str | None = None
    task: str | None = None
    weights: Weights = Weights.LOAD


class AxisResult(_Struct):
    """One axis that a file declares dynamic; ``proven`` when passing cases varied it alone."""

    input: str
    axis: int
    name: str
    proven: bool


class InputResult(_Struct):
    """One input as the file declares it: a size for a fixed axis, a name for a dynamic one, empty where it has none."""

    name: str
    dtype: str
    shape: list[int | str] = []


class QualityResult(_Struct):
    """What a file must keep of one output over all elements, and where the demand for decibels comes from.

    ``cost_db`` is the signal over noise that PyTorch itself keeps when it rounds as the variant does, None where that
    is not known.
    """

    min_sqnr_db: float | None = None
    min_cosine: float | None = None
    min_agreement: float | None = None
    cost_db: float | None = None
    source: ToleranceSource = ToleranceSource.DECLARED


class ElementResult(_Struct):
    """One number of an output: its index, and what PyTorch and the file say; ``case`` is the case's id."""

    index: list[int]
    torch: float | None
    onnx: float | None
    case: str | None = None


class OutputResult(_Struct):
    """One output over all cases. Errors are absolute unless named otherwise, over valid (not padded) positions.

    ``margin`` is the largest ``|onnx - torch| / (atol + rtol * |torch|)``, or ``max_rms / rms_tolerance`` where that is
    more: at most 1 passes. ``max_rms`` is the largest root mean square error of a case.
    A calibrated ``atol`` is ``max(noise_multiple * noise, noise_floor)``, where ``noise`` is how far PyTorch in float32
    is from itself in float64; ``rms_tolerance`` comes from the root mean square of that noise in the same way.
    ``vacuous`` says that the reference did not vary with its input, so that agreement proves nothing.
    Agreements are shares of rows with the same largest element, and of the five largest that are the same. ``worst`` is
    the element with the largest margin.
    ``padded_max_abs`` is the largest error at padded positions, which no reader of the output uses.
    ``error_decades`` counts errors by size (every n-th where there are many): below 1e-12, then by powers of ten, from
    1e3 on.
    """

    name: str
    atol: float
    rtol: float
    max_abs: float | None = None
    mean_abs: float | None = None
    p99_abs: float | None = None
    max_rel: float | None = None
    cosine: float | None = None
    sqnr_db: float | None = None
    argmax_agreement: float | None = None
    top5_agreement: float | None = None
    nan_mismatch: int = 0
    margin: float | None = None
    worst: ElementResult | None = None
    vacuous: bool = False
    padded_max_abs: float | None = None
    tolerance_source: ToleranceSource = ToleranceSource.DEFAULT
    max_rms: float | None = None
    rms_tolerance: float | None = None
    noise: float | None = None
    noise_multiple: float | None = None
    noise_floor: float | None = None
    rms_noise: float | None = None
    rms_noise_multiple: float | None = None
    rms_noise_floor: float | None = None
    dtype: str | None = None
    shape: list[int | str] = []
    error_decades: list[int] = []
    quality: QualityResult | None = None


class CaseOutputResult(_Struct, omit_defaults=True):
    """One output in one case, in the words of :class:`OutputResult`; what is absent was not measured, or is zero.

    ``nan_places`` are the first of the places where one side is NaN or infinite and the other is not.
    """

    name: str
    margin: float | None = None
    max_abs: float | None = None
    mean_abs: float | None = None
    rms_abs: float | None = None
    p99_abs: float | None = None
    max_rel: float | None = None
    cosine: float | None = None
    sqnr_db: float | None = None
    argmax_agreement: float | None = None
    top5_agreement: float | None = None
    nan_mismatch: int = 0
    nan_places: list[list[int]] = []
    padded_max_abs: float | None = None
    worst: ElementResult | None = None


class CaseResult(_Struct):
    """One input of the grid: ``shape`` is axis name to size; ``problem`` is None where the case passes."""

    id: str
    shape: dict[str, int]
    mask: Padding
    verdict: Verdict
    problem: CaseProblem | None = None
    worst_output: str | None = None
    max_abs: float | None = None
    margin: float | None = None
    message: str | None = None
    outputs: list[CaseOutputResult] = []


class TaskMetricResult(_Struct):
    """What a user of the task would notice, over ``count`` answers; see docs/validation.md for the names."""

    name: str
    value: float | None
    count: int


class SimilarityResult(_Struct):
    """Cosine similarity of two sample texts' embeddings, from PyTorch and from the ONNX file."""

    first: str
    second: str
    torch: float
    onnx: float


class GenerationResult(_Struct):
    """Greedy tokens through the ONNX cache against ``model.generate``.

    ``token_agreement`` is the share of equal tokens, where each step reads PyTorch's tokens; ``ties`` of the others are
    between logits within the tolerance of each other, and do not make the texts unequal.
    """

    prompts: int
    tokens: int
    equal: bool
    first_difference: str | None = None
    token_agreement: float | None = None
    ties: int = 0


class LatencySizeResult(_Struct):
    """Median milliseconds of ``calls`` calls of one size, and how far the middle half of them spreads."""

    shape: dict[str, int]
    calls: int
    onnx_ms: float
    torch_ms: float
    onnx_spread_ms: float
    torch_spread_ms: float


class LatencyResult(_Struct):
    """Median milliseconds for one call: of the larger of two ``sizes``, with the same number of ``threads``."""

    onnx_ms: float
    torch_ms: float
    threads: int | None = None
    sizes: list[LatencySizeResult] = []


class FileResult(_Struct):
    """One ONNX file: what it is and whether it computes what PyTorch computes.

    ``external_sha256`` is of each piece of the weights beside it, which a large file has; ``bytes`` counts all.
    ``call_ms`` is the median of one call of a small batch, of targets with variants, to compare these with each other.
    ``operators`` counts the nodes of each operator.
    """

    path: str
    bytes: int
    sha256: str
    variant: str
    engine: str
    opset: int
    verdict: Verdict
    external_sha256: list[str] = []
    operators: dict[str, int] = {}
    inputs: list[InputResult] = []
    axes: list[AxisResult] = []
    outputs: list[OutputResult] = []
    cases: list[CaseResult] = []
    task_metrics: list[TaskMetricResult] = []
    similarities: list[SimilarityResult] = []
    generation: GenerationResult | None = None
    latency: LatencyResult | None = None
    call_ms: float | None = None
    failure: Failure | None = None

    @property
    def worst_margin(self) -> float | None:
        """Largest margin over the outputs, None when nothing was measured."""
        return max((output.margin for output in self.outputs if output.margin is not None), default=None)


class TargetResult(_Struct):
    """All that is known of one target: the content of ``result.json``."""

    target: str
    model: ModelInfo
    verdict: Verdict
    schema_version: Annotated[int, msgspec.Meta(ge=SCHEMA_VERSION, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    packages: dict[str, str] = {}
    seed: int = 0
    timings: dict[str, float] = {}
    peak_rss_bytes: int | None = None
    files: list[FileResult] = []
    failure: Failure | None = None
    notes: list[str] = []
    reproduce: str | None = None
    fail_on: FailOn = FailOn.VALIDATION


def overall_verdict(verdicts: Iterable[Verdict]) -> Verdict:
    """Worst verdict first: error, then fail; pass only when there is at least one and all pass."""
    seen = list(verdicts)
    if not seen or Verdict.ERROR in seen:
        return Verdict.ERROR
    return Verdict.FAIL if Verdict.FAIL in seen else Verdict.PASS


def encode(value: msgspec.Struct) -> bytes:
    """Indented JSON with a final newline; NaN and infinities become null (msgspec's rule)."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def read_result(path: Path) -> TargetResult:
    """Read and check one ``result.json``.

    Raises:
        ValueError: the file is not a result of this schema; the message says where.
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        raw = stream.read(MAX_RESULT_BYTES + 1)
    if len(raw) > MAX_RESULT_BYTES:
        message = f"{path}: larger than {MAX_RESULT_BYTES >> 20} MiB: not a result"
        raise ValueError(message)
    try:
        return msgspec.json.decode(raw, type=TargetResult)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"{path}: not a result of this version of onnx-export: {error}"
        raise ValueError(message) from error


def result_schema() -> dict[str, Any]:
    """JSON Schema of ``result.json``."""
    return msgspec.json.schema(TargetResult)
