"""The matrix of docs/versions.md: exports and proofs with each combination of versions.

    python -m tests.versions [--size N] [COMBINATION...]

In order: pip lays a combination's packages into a folder of its own (``.versions/NAME``), which Python searches before
the environment of ``make setup``; the pairs are exported and proven there, each in turn; the page is written from all
outcomes so far, with their dates. Exit code 1 where a supported combination failed, or another was not refused.
"""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from onnx_export_action.vocabulary.results import Verdict
from onnx_export_action.vocabulary.supported.engines import Engine
from onnx_export_action.vocabulary.supported.versions import NEEDED
from tests.architectures.expected import Pair
from tests.architectures.proving import Outcome
from tests.versions.combinations import BY_TORCH_EXPORT, MINORS, ROOT, Combination, combinations, sample

PAGE = ROOT / "docs" / "versions.md"
STATE = ROOT / ".versions"
SHOWN = ("transformers", "onnxruntime", "onnx", "onnxscript", "huggingface-hub")
REFUSAL = "which this environment does not have"
SECONDS = 120

# Run where the packages are: prints their versions.
_VERSIONS = f"from importlib.metadata import version as v; print(*(v(name) for name in {SHOWN!r}))"


class Row(msgspec.Struct, frozen=True):
    """What became of one combination."""

    name: str
    date: str
    versions: list[str]
    pairs: int = 0
    failures: list[str] = []
    refused: str | None = None

    @property
    def is_right(self) -> bool:
        """Whether everything passed, or it was refused as it should be."""
        return not self.failures


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the combinations, all without names, and write the page."""
    parser = argparse.ArgumentParser(prog="make versions", description=__doc__)
    known = {one.name: one for one in combinations()}
    parser.add_argument("names", nargs="*", choices=[*known, []], metavar="COMBINATION", help=", ".join(known))
    parser.add_argument("--size", type=int, default=6, help="how many types besides the watched ones")
    options = parser.parse_args(arguments)
    pairs = sample(options.size)
    rows = {row.name: row for row in read_rows()}
    for name in options.names or known:
        rows[name] = tried(known[name], pairs)
        print(cells(rows[name]), flush=True)
        write_rows(rows[one] for one in known if one in rows)
    PAGE.write_text(page([rows[name] for name in known if name in rows]), encoding="utf-8")
    return 0 if all(row.is_right for row in rows.values()) else 1


def tried(combination: Combination, pairs: Sequence[Pair]) -> Row:
    """Lay out the packages and run the pairs."""
    folder = STATE / combination.name.replace(" ", "-")
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    problem = _lay_out(combination, folder)
    if problem is not None:
        return Row(combination.name, today, [], failures=[f"pip: {problem}"])
    environment = _environment(folder)
    versions = _output([sys.executable, "-c", _VERSIONS], environment).split()
    if combination.refused:
        said = next((outcome.reason or "" for outcome, _ in _outcomes(pairs[:1], environment)), "")
        return Row(combination.name, today, versions, failures=[] if REFUSAL in said else [said], refused=said)
    outcomes = [*_outcomes(pairs, environment), *_outcomes(BY_TORCH_EXPORT, environment, Engine.TORCH_EXPORT)]
    failures = [f"{o.pair} ({engine}): {o.reason}" for o, engine in outcomes if o.verdict is not Verdict.PASS]
    return Row(combination.name, today, versions, len(outcomes), failures)


def _lay_out(combination: Combination, folder: Path) -> str | None:
    """Install into the folder, anew where it is not done; the last line of what pip says where it cannot."""
    done = folder / ".done"
    if not combination.requirements or done.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        return None
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--upgrade"]
    command += ["--only-binary", ":all:"]
    command += ["--pre"] if combination.before_releases else []
    found = subprocess.run(
        [*command, "--target", str(folder), *combination.requirements], capture_output=True, text=True, check=False
    )
    if found.returncode != 0:
        return (found.stderr.strip().splitlines() or ["it failed"])[-1]
    done.touch()
    return None


def _environment(folder: Path) -> dict[str, str]:
    # This project first: a package brings a folder `tests` of its own.
    searched = (*(str(ROOT / name) for name in ("src", "hooks", "")), str(folder))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(searched), "HF_HUB_OFFLINE": "1"}


def _output(command: Sequence[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def _outcomes(
    pairs: Sequence[Pair], environment: dict[str, str], engine: Engine = Engine.AUTO
) -> Iterator[tuple[Outcome, Engine]]:
    """One after the other in one process; those that it does not answer, each in one of its own."""
    answered = {outcome.pair: outcome for outcome in _answers(pairs, environment, engine)}
    for pair in pairs:
        outcome = answered.get(pair) or next(iter(_answers([pair], environment, engine)), None)
        yield outcome or Outcome(pair, Verdict.ERROR, 0.0, reason="its process died, or took too long"), engine


def _answers(pairs: Sequence[Pair], environment: dict[str, str], engine: Engine) -> Iterator[Outcome]:
    command = [sys.executable, "-m", "tests.architectures.proving", "0", engine]
    asked = b"\n".join(msgspec.json.encode(pair) for pair in pairs)
    try:
        found = subprocess.run(
            command,
            input=asked,
            env=environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=SECONDS * len(pairs),
        ).stdout
    except subprocess.TimeoutExpired as error:
        found = error.stdout or b""
    for line in found.splitlines():
        with suppress(msgspec.DecodeError):  # cut off where the process ended
            yield msgspec.json.decode(line, type=Outcome)


def read_rows() -> list[Row]:
    """What earlier runs found."""
    path = STATE / "rows.json"
    return msgspec.json.decode(path.read_bytes(), type=list[Row]) if path.is_file() else []


def write_rows(rows: Iterable[Row]) -> None:
    """Keep what was found so far."""
    STATE.mkdir(exist_ok=True)
    (STATE / "rows.json").write_bytes(msgspec.json.format(msgspec.json.encode(list(rows))))


def cells(row: Row) -> str:
    """A row of the table."""
    if row.refused is not None:
        said = "refused at once" if row.is_right else "not refused"
    elif row.failures:
        said = f"{row.pairs - len(row.failures)} of {row.pairs}: " + "; ".join(
            one.partition(":")[0] for one in row.failures
        )
    else:
        said = f"all {row.pairs}"
    return "| " + " | ".join([row.name, *(row.versions or ["-"] * len(SHOWN)), said, row.date]) + " |"


def page(rows: Sequence[Row]) -> str:
    """The whole page."""
    supported = "\n".join(f"- `{name}{versions}`" for name, versions in NEEDED.items())
    heading = "| " + " | ".join(("combination", *SHOWN, "pairs that pass", "tried")) + " |"
    reasons = "\n".join(f"- {row.name}: {reason}" for row in rows for reason in row.failures)
    return f"""# Versions

Written by `make versions`. Every other version is refused before anything is loaded, with a message that names it.

{supported}

Python is 3.11 or newer; exports were tried with 3.11, for which a CPU build of torch is at hand where this is
developed. That build is torch 2.13.0: no older torch was tried.

## What was tried

Tiny models with random weights, each exported and proven as `onnx-export export` does: types that some release broke
or that need help which depends on the release, a few others that change from day to day, and two by
`engine: torch-export` alone. A combination's packages lie over those of `constraints.txt`; *oldest* has every package
but torch at the lower bound of `pyproject.toml`, *newest* what pip takes on that day.

{heading}
{"|---" * (len(SHOWN) + 3)}|
{chr(10).join(cells(row) for row in rows)}

{f"Failures:{chr(10)}{chr(10)}{reasons}{chr(10)}" if reasons else "There was no failure."}

## Why not older

- transformers before 5.{MINORS[0]} keeps the loops of Mamba's family in the models' `forward`, where a trace keeps the
  length of the traced text; DeepSeek-V3 and DBRX stop in 5.13 with either engine. The second engine,
  `transformers.exporters`, exists since 5.13.
- transformers 5.4 to 5.8 indexes a tensor without axes in `masking_utils` under tracing ("tuple index out of range"),
  which stops nearly every model.

What depends on the version stands in `traceable/` and `exporting/engines/`, each with the versions that it is for
(`traceable/private_names.py`); a test walks all of it with whatever is installed.
"""
