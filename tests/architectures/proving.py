"""One pair: a tiny model of the type, exported and checked by the product itself, as ``onnx-export export`` does.

As a program it takes pairs from stdin, one JSON object a line, and answers with their outcomes on stdout.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import msgspec
import torch

from onnx_export_action.onnx_config import TasksManager
from onnx_export_action.pipeline.running import export_and_check
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.jobs import Request
from onnx_export_action.vocabulary.options import ExportOptions
from onnx_export_action.vocabulary.results import Failure, TargetResult, Verdict
from onnx_export_action.vocabulary.supported.engines import Engine
from tests.architectures.expected import Pair
from tests.architectures.tiny import SHRINKINGS, Shrinking, tiny_config, write_tiny_config

# What an outcome's reason says where no model was made, or none that runs.
NO_MODEL = ("no tiny configuration", "could not be loaded")
NO_CALL = (*NO_MODEL, "no call of")
MOST_PARAMETERS = 20_000_000


class Outcome(msgspec.Struct, frozen=True):
    """What became of a pair. ``margin`` is the worst of all files, ``source`` a hash of the code that ran.

    Of its ``outputs`` the ``calibrated`` ones have a tolerance by the model's own rounding noise.
    """

    pair: Pair
    verdict: Verdict
    seconds: float
    engine: str = ""
    files: int = 0
    cases: int = 0
    margin: float | None = None
    calibrated: int = 0
    outputs: int = 0
    reason: str | None = None
    packages: dict[str, str] = {}
    source: str = ""


def prove(pair: Pair, *, engine: Engine = Engine.AUTO, seed: int = 0) -> Outcome:
    """Export and check one pair, as small as it can be made so that it runs; what cannot be is an outcome too."""
    first = None
    for shrinking in SHRINKINGS:
        outcome = _prove(pair, engine, shrinking, seed)
        if not any(words in (outcome.reason or "") for words in NO_CALL):
            return outcome
        first = first or outcome
    return first


def _prove(pair: Pair, engine: Engine, shrinking: Shrinking, seed: int) -> Outcome:
    started = time.perf_counter()
    try:
        result = prove_in_full(pair, engine=engine, shrinking=shrinking, seed=seed)
    except Exception as error:  # a configuration class raises whatever its own checks raise
        reason = f"no tiny configuration: {type(error).__name__}: {error}"
        return Outcome(pair, Verdict.ERROR, time.perf_counter() - started, reason=reason)
    margins = [file.worst_margin for file in result.files if file.worst_margin is not None]
    return Outcome(
        pair=pair,
        verdict=result.verdict,
        seconds=time.perf_counter() - started,
        engine="+".join(sorted({part for file in result.files for part in file.engine.split("+")})),
        files=len(result.files),
        cases=sum(len(file.cases) for file in result.files),
        margin=max(margins, default=None),
        calibrated=sum(output.tolerance_source == "calibrated" for file in result.files for output in file.outputs),
        outputs=sum(len(file.outputs) for file in result.files),
        reason=reason_of(result),
        packages=result.packages,
    )


def prove_in_full(
    pair: Pair, *, engine: Engine = Engine.AUTO, shrinking: Shrinking = SHRINKINGS[0], seed: int = 0
) -> TargetResult:
    """The product's own result for one pair; weights and inputs follow from the seed.

    Raises:
        ValueError: the model would not be small.
    """
    with tempfile.TemporaryDirectory(prefix="onnx-export-catalogue-") as folder:
        if shrinking is not SHRINKINGS[0]:
            _require_small(pair, shrinking)
        model = write_tiny_config(pair.model_type, Path(folder) / "model", shrinking=shrinking)
        request = Request(
            name=pair.model_type,
            model=str(model),
            destination=Path(folder) / "onnx",
            task=pair.task,
            options=ExportOptions(weights=Weights.RANDOM, engine=engine, seed=seed),
        )
        return export_and_check(request, progress=lambda _: None)


def _require_small(pair: Pair, shrinking: Shrinking) -> None:
    model_class = TasksManager.get_model_class_for_task(pair.task, model_type=pair.model_type)
    build = getattr(model_class, "from_config", None) or model_class._from_config
    with torch.device("meta"):
        parameters = sum(
            weight.numel() for weight in build(tiny_config(pair.model_type, shrinking=shrinking)).parameters()
        )
    if parameters > MOST_PARAMETERS:
        message = f"{parameters / 1e6:.0f} million parameters"
        raise ValueError(message)


def reason_of(result: TargetResult) -> str | None:
    """Why a result did not pass, None where it did."""
    if result.verdict is Verdict.PASS:
        return None
    found: list[tuple[str, Failure | None]] = [("", result.failure)]
    found += [(f"{Path(file.path).name}: ", file.failure) for file in result.files]
    words = [f"{place}{failure.message}" for place, failure in found if failure is not None]
    return "; ".join(words) or f"the verdict is {result.verdict}"


def main() -> None:
    """Answer pairs until there are no more; the arguments, if there are any, are the seed and the engine."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    engine = Engine(sys.argv[2]) if len(sys.argv) > 2 else Engine.AUTO
    for line in sys.stdin.buffer:
        outcome = prove(msgspec.json.decode(line, type=Pair), seed=seed, engine=engine)
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
