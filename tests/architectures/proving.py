"""One pair: a tiny model of the type, exported and checked by the product itself, as ``onnx-export export`` does.

As a program it takes pairs from stdin, one JSON object a line, and answers with their outcomes on stdout.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import msgspec

from onnx_export_action.results import Failure, TargetResult, Verdict
from onnx_export_action.stages import Request, export_and_check
from tests.architectures.expected import Pair
from tests.architectures.tiny import write_tiny_config


class Outcome(msgspec.Struct, frozen=True):
    """What became of a pair. ``margin`` is the worst of all files, ``source`` a hash of the code that ran."""

    pair: Pair
    verdict: Verdict
    seconds: float
    engine: str = ""
    files: int = 0
    cases: int = 0
    margin: float | None = None
    reason: str | None = None
    packages: dict[str, str] = {}
    source: str = ""


def prove(pair: Pair, *, engine: str = "auto") -> Outcome:
    """Export and check one pair; what cannot even be built is an outcome too."""
    started = time.perf_counter()
    try:
        result = prove_in_full(pair, engine=engine)
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
        reason=reason_of(result),
        packages=result.packages,
    )


def prove_in_full(pair: Pair, *, engine: str = "auto") -> TargetResult:
    """The product's own result for one pair."""
    with tempfile.TemporaryDirectory(prefix="onnx-export-catalogue-") as folder:
        model = write_tiny_config(pair.model_type, Path(folder) / "model")
        request = Request(
            name=pair.model_type,
            model=str(model),
            destination=Path(folder) / "onnx",
            weights="random",
            task=pair.task,
            engine=engine,
        )
        return export_and_check(request, progress=lambda _: None)


def reason_of(result: TargetResult) -> str | None:
    """Why a result did not pass, None where it did."""
    if result.verdict is Verdict.PASS:
        return None
    found: list[tuple[str, Failure | None]] = [("", result.failure)]
    found += [(f"{Path(file.path).name}: ", file.failure) for file in result.files]
    words = [f"{place}{failure.message}" for place, failure in found if failure is not None]
    return "; ".join(words) or f"the verdict is {result.verdict}"


def main() -> None:
    """Answer pairs until there are no more."""
    for line in sys.stdin.buffer:
        outcome = prove(msgspec.json.decode(line, type=Pair))
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
