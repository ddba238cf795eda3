"""Export and check every (model type, task) pair, and write ``docs/architectures.md`` from what happened.

Stages, in order: the pairs still to run (those without a record of this very code), worker processes that run them,
a line per outcome in ``.catalogue/outcomes-0.jsonl``, the page. Stopped at any moment, it goes on where it was.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from onnx_export_action.vocabulary.results import Verdict
from tests.architectures.expected import Expected, Pair, read_expected
from tests.architectures.inferred_pairs import inferred_pairs
from tests.architectures.proving import NO_MODEL, Outcome

ROOT = Path(__file__).parents[2]
STATE = ROOT / ".catalogue"
PAGE = ROOT / "docs" / "architectures.md"
INFERRED_PAGE = ROOT / "docs" / "architectures-inferred.md"
SOURCES = tuple(
    f"src/onnx_export_action/{room}"
    for room in ("configuring", "exporting", "graphs", "loading", "onnx_config", "proving", "traceable", "vocabulary")
)
TIMEOUT_SECONDS = 600


def main(arguments: list[str] | None = None) -> int:
    """Run what is left, then write the page. Exit code 1 when a pair failed that is not known to fail."""
    options = _parser().parse_args(arguments)
    expected = read_expected()
    source = source_hash()
    wanted = inferred_pairs(only=options.types) if options.inferred else expected.pairs(only=options.types)
    done = {outcome.pair: outcome for outcome in read_outcomes() if options.keep or outcome.source == source}
    if options.retry:
        done = {pair: outcome for pair, outcome in done.items() if outcome.verdict is Verdict.PASS}
    if not options.page:
        done |= run_left([pair for pair in wanted if pair not in done], source, options.jobs)
    wanted, not_run = [pair for pair in wanted if pair in done], [pair for pair in wanted if pair not in done]
    outcomes = [done[pair] for pair in wanted]
    if options.inferred:
        print(inferred_figures(outcomes))
        if not options.types:
            INFERRED_PAGE.write_text(inferred_page(outcomes, len(not_run)))
        return 0
    if not options.types and not not_run:
        PAGE.write_text(page(outcomes, expected))
    surprises = [pair for pair in wanted if done[pair].verdict is not Verdict.PASS and not expected.known_failure(pair)]
    print(f"{len(wanted)} pairs: {_counted(done[pair] for pair in wanted)}; unexplained failures: {len(surprises)}")
    return 1 if surprises else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make catalogue", description=__doc__)
    parser.add_argument("types", nargs="*", help="model types to run; all, and the page, without any")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) // 2 + 1), help="worker processes")
    parser.add_argument("--keep", action="store_true", help="keep outcomes of earlier versions of the code")
    parser.add_argument("--page", action="store_true", help="run nothing more: write the page of what has been run")
    parser.add_argument("--inferred", action="store_true", help="run the types that have no configuration class")
    parser.add_argument("--retry", action="store_true", help="run pairs again that did not pass")
    return parser


def run_left(pairs: list[Pair], source: str, jobs: int, seed: int = 0) -> dict[Pair, Outcome]:
    """Run the pairs with the seed's weights and inputs; each outcome is kept and printed as it comes."""
    done = {}
    for number, outcome in enumerate(run(pairs, source, jobs, seed), start=1):
        done[outcome.pair] = outcome
        append_outcome(outcome, seed)
        print(f"seed {seed}, {number}/{len(pairs)} {line_of(outcome)}", flush=True)
    return done


def source_hash() -> str:
    """A hash of the code whose change may change an outcome."""
    digest = hashlib.sha256()
    files = [path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")]
    for path in sorted([*files, Path(__file__).with_name("tiny.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


# --- state ------------------------------------------------------------------------------------------------------------


def read_outcomes(seed: int = 0) -> list[Outcome]:
    """The seed's outcomes so far; a line that a stop cut off is passed over."""
    state = _state(seed)
    if not state.exists():
        return []
    outcomes = []
    for line in state.read_bytes().splitlines():
        with contextlib.suppress(msgspec.DecodeError):
            outcomes.append(msgspec.json.decode(line, type=Outcome))
    return outcomes


def append_outcome(outcome: Outcome, seed: int = 0) -> None:
    """Write one outcome at once."""
    STATE.mkdir(exist_ok=True)
    with _state(seed).open("ab") as state:
        state.write(msgspec.json.encode(outcome) + b"\n")


def _state(seed: int) -> Path:
    return STATE / f"outcomes-{seed}.jsonl"


# --- workers ----------------------------------------------------------------------------------------------------------


def run(pairs: list[Pair], source: str, jobs: int, seed: int = 0) -> Iterator[Outcome]:
    """Outcomes as they come, from ``jobs`` processes side by side."""
    waiting: queue.SimpleQueue[Pair] = queue.SimpleQueue()
    for pair in pairs:
        waiting.put(pair)
    finished: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    threads = [threading.Thread(target=_drain, args=(waiting, finished, seed), daemon=True) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for _ in pairs:
        yield msgspec.structs.replace(finished.get(), source=source)


def _drain(waiting: queue.SimpleQueue[Pair], finished: queue.SimpleQueue[Outcome], seed: int) -> None:
    worker = _Prover(seed)
    while True:
        try:
            pair = waiting.get_nowait()
        except queue.Empty:
            worker.end()
            return
        finished.put(worker.prove(pair))


class _Prover:
    """A process of :mod:`tests.architectures.proving`, started anew where it dies or takes too long."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._process: subprocess.Popen[bytes] | None = None

    def prove(self, pair: Pair) -> Outcome:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        started = time.perf_counter()
        timer = threading.Timer(TIMEOUT_SECONDS, self.end)
        timer.start()
        try:
            process.stdin.write(msgspec.json.encode(pair) + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        finally:
            timer.cancel()
        if line:
            return msgspec.json.decode(line, type=Outcome)
        self.end()
        seconds = time.perf_counter() - started
        late = seconds >= TIMEOUT_SECONDS
        reason = f"no end after {TIMEOUT_SECONDS} seconds" if late else "the process that ran the pair died"
        return Outcome(pair, Verdict.ERROR, seconds, reason=reason)

    def end(self) -> None:
        """End the process and all that it started."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.architectures.proving", str(self._seed)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Pairs run side by side: one thread each is faster than all threads for each.
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
        return self._process


# --- page -------------------------------------------------------------------------------------------------------------


def page(outcomes: list[Outcome], expected: Expected) -> str:
    """``docs/architectures.md``: the figures, then a line a pair."""
    seeds = [outcome for outcome in outcomes if expected.is_seed(outcome.pair)]
    packages = next((outcome.packages for outcome in outcomes if outcome.packages), {})
    lines = [
        "# Architectures",
        "",
        "Written by `make catalogue`: do not edit. A tiny model of every type, with random weights, is exported and",
        "checked as any other. `margin` is the worst error of any output in any case, as a part of what its tolerance",
        "allows.",
        "",
        f"- Pairs of model type and task: {_counted(outcomes)}",
        f"- of these, pairs of types that the guides of `transformers.onnx` and optimum name: {_counted(seeds)}",
        f"- ONNX files: {sum(outcome.files for outcome in outcomes)}, "
        f"cases run: {sum(outcome.cases for outcome in outcomes)}",
        f"- Types that transformers 5 no longer has: {', '.join(f'`{name}`' for name in expected.gone)}",
        f"- Versions: {', '.join(f'{name} {version}' for name, version in sorted(packages.items()))}",
        "",
        "| type | task | verdict | engine | seconds | margin | cause |",
        "| --- | --- | --- | --- | ---: | ---: | --- |",
        *(_row(outcome, expected.known_failure(outcome.pair)) for outcome in outcomes),
    ]
    return "\n".join(lines) + "\n"


def inferred_figures(outcomes: list[Outcome]) -> str:
    """How many of the types that could be built small pass without a configuration class."""
    built = [outcome for outcome in outcomes if not any(words in (outcome.reason or "") for words in NO_MODEL)]
    return f"{len(outcomes)} types without a configuration class, {len(built)} built small: {_counted(built)}"


def inferred_page(outcomes: list[Outcome], not_run: int) -> str:
    """``docs/architectures-inferred.md``: the figures, then a line a type."""
    lines = [
        "# Architectures without a configuration class",
        "",
        "Written by `make catalogue ARGUMENTS=--inferred`: do not edit. Every other model type of transformers that an",
        "auto class loads, with one of its tasks: its configuration is inferred from runs of a tiny model.",
        "",
        f"- {inferred_figures(outcomes)}",
        f"- Types that were not run: {not_run}",
        f"- Versions of this code that the outcomes are of (`--keep`): {len({outcome.source for outcome in outcomes})}",
        "",
        "| type | task | verdict | engine | seconds | margin | cause |",
        "| --- | --- | --- | --- | ---: | ---: | --- |",
        *(_row(outcome, None) for outcome in outcomes),
    ]
    return "\n".join(lines) + "\n"


def _row(outcome: Outcome, known: str | None) -> str:
    margin = "" if outcome.margin is None else f"{outcome.margin:.3f}"
    cause = _cell(known or outcome.reason or "") if outcome.verdict is not Verdict.PASS else ""
    cells = (outcome.pair.model_type, outcome.pair.task, outcome.verdict, outcome.engine, f"{outcome.seconds:.1f}")
    return f"| {' | '.join(cells)} | {margin} | {cause} |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())[:300]


def _counted(outcomes: Iterable[Outcome]) -> str:
    counts = Counter(outcome.verdict for outcome in outcomes)
    total = counts.total()
    passed = counts[Verdict.PASS]
    return f"{passed} of {total} pass ({passed / total:.1%})" if total else "none"


def line_of(outcome: Outcome) -> str:
    """One outcome for the terminal."""
    margin = "" if outcome.margin is None else f" margin {outcome.margin:.3f}"
    reason = f" {outcome.reason}" if outcome.reason else ""
    return f"{outcome.verdict:5} {outcome.pair} {outcome.engine} {outcome.seconds:.1f} s{margin}{reason}"


if __name__ == "__main__":
    sys.exit(main())
