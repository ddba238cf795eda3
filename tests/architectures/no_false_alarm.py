"""Good exports that must not be accused: a pair of every type, three times with other weights and other inputs.

The seed decides which task of a type is tried, too. What was found is written between the markers of
``docs/validation.md``.
"""

from __future__ import annotations

import argparse
import datetime
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from onnx_export_action.report.failures import NEAR_MISS
from onnx_export_action.results import Verdict
from tests.architectures.catalogue import line_of, run, source_hash
from tests.architectures.expected import Pair, read_expected
from tests.architectures.proving import Outcome

DOCUMENT = Path(__file__).parents[2] / "docs" / "validation.md"
BEGIN = "<!-- no_false_alarm: made by `make no-false-alarm`, do not edit -->"
END = "<!-- no_false_alarm: end -->"
SEEDS = 3


def main(arguments: list[str] | None = None) -> int:
    """Run all seeds. Exit code 1 when a good export was accused."""
    parser = argparse.ArgumentParser(prog="make no-false-alarm", description=__doc__)
    parser.add_argument("--types", type=int, default=0, help="so many types, drawn by the seed; all by default")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many seeds")
    parser.add_argument("--no-document", action="store_true", help="write nothing")
    parser.add_argument("--jobs", type=int, default=2, help="worker processes")
    options = parser.parse_args(arguments)
    outcomes: dict[int, list[Outcome]] = {}
    for seed in range(1, options.seeds + 1):
        pairs = pairs_of(seed, options.types)
        outcomes[seed] = []
        for number, outcome in enumerate(run(pairs, source_hash(), options.jobs, seed), start=1):
            outcomes[seed].append(outcome)
            print(f"seed {seed}, {number}/{len(pairs)} {line_of(outcome)}", flush=True)
    section = section_of(outcomes)
    print(section)
    if not options.no_document:
        write_section(section)
    return int(any(outcome.verdict is not Verdict.PASS for found in outcomes.values() for outcome in found))


def pairs_of(seed: int, types: int = 0) -> list[Pair]:
    """A task of each type, drawn by the seed, but for pairs that are known to fail."""
    expected = read_expected()
    chance = random.Random(seed)
    pairs = [Pair(name, chance.choice(one.tasks)) for name, one in sorted(expected.architectures.items())]
    pairs = [pair for pair in pairs if expected.known_failure(pair) is None]
    return chance.sample(pairs, types) if types else pairs


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
