"""Good exports that must not be accused: every pair of the catalogue, three times with other weights and inputs.

Seed 0 is the catalogue itself. Stopped at any moment, it goes on where it was. What was found is written between the
markers of ``docs/validation.md``.
"""

from __future__ import annotations

import argparse
import datetime
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from onnx_export_action.report.failures import NEAR_MISS
from onnx_export_action.vocabulary.results import Verdict
from tests.architectures.catalogue import line_of, read_outcomes, run_left, source_hash
from tests.architectures.expected import Pair, read_expected
from tests.architectures.proving import Outcome

DOCUMENT = Path(__file__).parents[2] / "docs" / "validation.md"
BEGIN = "<!-- no_false_alarm: made by `make no-false-alarm`, do not edit -->"
END = "<!-- no_false_alarm: end -->"
SEEDS = 3


def main(arguments: list[str] | None = None) -> int:
    """Run all seeds. Exit code 1 when a good export was accused."""
    parser = argparse.ArgumentParser(prog="make no-false-alarm", description=__doc__)
    parser.add_argument("--pairs", type=int, default=0, help="so many pairs, drawn by the seed; all by default")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many seeds")
    parser.add_argument("--no-document", action="store_true", help="write nothing")
    parser.add_argument("--jobs", type=int, default=2, help="worker processes")
    options = parser.parse_args(arguments)
    outcomes = {seed: outcomes_of(seed, options.pairs, options.jobs) for seed in range(options.seeds)}
    section = section_of(outcomes)
    print(section)
    if not options.no_document:
        write_section(section)
    return int(any(outcome.verdict is not Verdict.PASS for found in outcomes.values() for outcome in found))


def outcomes_of(seed: int, count: int, jobs: int) -> list[Outcome]:
    """What became of the seed's pairs: earlier outcomes of this very code, and those still to run."""
    pairs, source = pairs_of(seed, count), source_hash()
    done = {outcome.pair: outcome for outcome in read_outcomes(seed) if outcome.source == source}
    done |= run_left([pair for pair in pairs if pair not in done], source, jobs, seed)
    return [done[pair] for pair in pairs]


def pairs_of(seed: int, count: int = 0) -> list[Pair]:
    """Every pair, but those that are known to fail; or so many of them, drawn by the seed."""
    expected = read_expected()
    pairs = [pair for pair in expected.pairs() if expected.known_failure(pair) is None]
    return random.Random(seed).sample(pairs, count) if count else pairs


def section_of(outcomes: Mapping[int, Sequence[Outcome]]) -> str:
    """The figures, a line a seed."""
    lines = [
        f"Measured on {datetime.datetime.now(tz=datetime.UTC).date().isoformat()}.",
        "",
        "| Seed | Exports | Accused | Cases | Outputs, calibrated | Margins above 0.5 | Largest margin |",
        "|--:|--:|--:|--:|--:|--:|---|",
    ]
    for seed, found in outcomes.items():
        margins = {outcome.pair: outcome.margin for outcome in found if outcome.margin is not None}
        worst = max(margins, key=lambda pair: margins[pair])
        lines.append(
            f"| {seed} | {len(found)} | {sum(one.verdict is not Verdict.PASS for one in found)} "
            f"| {sum(one.cases for one in found)} "
            f"| {sum(one.outputs for one in found)}, {sum(one.calibrated for one in found)} "
            f"| {sum(margin > NEAR_MISS for margin in margins.values())} | {margins[worst]:.2f} ({worst}) |"
        )
    accused = [line_of(one) for found in outcomes.values() for one in found if one.verdict is not Verdict.PASS]
    return "\n".join([*lines, *(["", "Accused:", "", *(f"- {line}" for line in accused)] if accused else [])])


def write_section(section: str) -> None:
    """Put the section between its markers."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{section}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
