"""Since when an export is not proven: what the base says of it, and what else is not as it was there."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from onnx_export_action.vocabulary.results import TargetResult, Verdict, overall_verdict


class Since(enum.Enum):
    """What the base knows of a target."""

    UNKNOWN = enum.auto()  # there is no base to compare with
    NEW = enum.auto()  # the base has no such target
    HERE = enum.auto()  # it was proven there
    BEFORE = enum.auto()  # it was not proven there either


@dataclass(frozen=True)
class Past:
    """What the base says. ``model_changed`` is None where a side does not know the model's files.

    ``packages`` are those of another version: name, before, now.
    """

    since: Since
    model_changed: bool | None = None
    packages: tuple[tuple[str, str, str], ...] = ()


def past_of(result: TargetResult, base: Sequence[TargetResult]) -> Past:
    """The past of a target, by the base's result of its own task where there is one."""
    if not base:
        return Past(Since.UNKNOWN)
    of_target = [one for one in base if one.target == result.target]
    before = next((one for one in of_target if one.model.task == result.model.task), next(iter(of_target), None))
    if before is None:
        return Past(Since.NEW)
    hashes = (before.model.sha256, result.model.sha256)
    return Past(
        since=Since.HERE if _claimed(before) is Verdict.PASS else Since.BEFORE,
        model_changed=None if None in hashes else hashes[0] != hashes[1],
        packages=tuple(
            (name, before.packages[name], version)
            for name, version in result.packages.items()
            if before.packages.get(name, version) != version
        ),
    )


def _claimed(result: TargetResult) -> Verdict:
    """What a result of the base says of itself and of its files."""
    return overall_verdict([result.verdict, *(file.verdict for file in result.files)])
