"""Which nodes of a variant stay in float32 when ``high_precision`` is ``auto``: the smallest set, by measurement."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onnx_export_action.vocabulary.results import FileResult, Verdict

AUTO = "auto"
_MOST_GROUPS = 24


@dataclass(frozen=True)
class Trial:
    """How a variant did with some nodes in float32: whether it passed, and its signal over noise in decibels."""

    passed: bool
    sqnr_db: float


Measure = Callable[[list[str]], Trial]


def trial_of(files: Sequence[FileResult]) -> Trial:
    """What the results of a variant's files say."""
    ran = all(output.sqnr_db is not None or not output.max_abs for file in files for output in file.outputs)
    finite = not any(output.nan_mismatch for file in files for output in file.outputs)
    noisy = [output.sqnr_db for file in files for output in file.outputs if output.sqnr_db is not None]
    return Trial(
        passed=all(file.verdict is Verdict.PASS for file in files),
        sqnr_db=min(noisy, default=math.inf) if ran and finite else -math.inf,
    )


def smallest_set(nodes: Sequence[str], measure: Measure) -> list[str] | None:
    """The fewest of ``nodes`` that must stay in float32 for the variant to pass; None where even all are not enough.

    Each group of neighbours is first measured as the only one in low precision; those that cost most are kept until
    the variant passes, and of these each is given up again that is not needed. A set of the same size that keeps
    others may exist: trying all of them would take more trials than there is time for.
    """
    groups = _grouped(nodes)
    if not measure(list(nodes)).passed:
        return None
    alone = [measure([node for other in groups if other is not group for node in other]).sqnr_db for group in groups]
    worst_first = [group for _, group in sorted(zip(alone, groups, strict=True), key=lambda pair: pair[0])]
    kept = [node for group in worst_first[: _fewest(worst_first, measure)] for node in group]
    for node in reversed(list(kept)):
        fewer = [other for other in kept if other != node]
        if measure(fewer).passed:
            kept = fewer
    return kept


def _grouped(nodes: Sequence[str]) -> list[list[str]]:
    size = -(-len(nodes) // _MOST_GROUPS)
    return [list(nodes[start : start + size]) for start in range(0, len(nodes), size)]


def _fewest(groups: Sequence[list[str]], measure: Measure) -> int:
    """How many groups from the first on must be kept: bisected, as keeping more does not make it worse."""
    low, high = 0, len(groups)
    while low < high:
        middle = (low + high) // 2
        if measure([node for group in groups[:middle] for node in group]).passed:
            high = middle
        else:
            low = middle + 1
    return high
