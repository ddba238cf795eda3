"""The three lines that a reader of a failing report needs: what is wrong, since when, what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from onnx_export_action.judging.since import Past, Since, past_of
from onnx_export_action.report.actions import action_for_file, action_for_target
from onnx_export_action.report.escape import PROSE_LIMIT, Markdown, code
from onnx_export_action.report.verdicts import State, file_state, reason, target_state
from onnx_export_action.vocabulary.results import FileResult, TargetResult

_MOST_PACKAGES = 4
_WORDS = {
    Since.UNKNOWN: "not known: there is no result of the base to compare with",
    Since.NEW: "since it is there: the base has no such target",
    Since.HERE: "since this change: the base's is proven",
    Since.BEFORE: "from before: the base's is not proven either",
}


def lead(results: Sequence[TargetResult], base: Sequence[TargetResult]) -> list[Markdown]:
    """Three bullets on the first of the exports that ended worst; none where all is proven."""
    unproven = [result for result in results if target_state(result) in (State.FAILED, State.ERROR)]
    if not unproven:
        return []
    worst = max(unproven, key=target_state)
    others = len(unproven) - 1
    more = f" ({others} more {'export is' if others == 1 else 'exports are'} not proven, below)" if others else ""
    file = next((one for one in worst.files if file_state(one) is target_state(worst)), None)
    wrong, action = _of_target(worst) if worst.failure is not None or file is None else _of_file(worst, file)
    return [
        Markdown(f"**What is wrong:** {code(worst.target)}{wrong}{more}"),
        Markdown(f"**Since when:** {_since(past_of(worst, base))}"),
        Markdown(f"**What to do:** {action}"),
    ]


def _of_target(result: TargetResult) -> tuple[str, Markdown]:
    failure = result.failure
    if failure is None:
        return f": {reason(result)}", Markdown("run it again, and look at the log of its job")
    return f": {_first_line(failure.message)}", action_for_target(result, failure)


def _of_file(result: TargetResult, file: FileResult) -> tuple[str, Markdown]:
    said = reason(result) if file.failure is None else _first_line(file.failure.message)
    return f" {code(file.path)}: {said}", action_for_file(result, file)


def _first_line(message: str) -> Markdown:
    return code(next(iter(message.strip().splitlines()), ""), PROSE_LIMIT)


def _since(past: Past) -> str:
    changed = list(_changes(past)) if past.since is Since.HERE else []
    return _WORDS[past.since] + (f"; changed since: {', '.join(changed)}" if changed else "")


def _changes(past: Past) -> Iterator[str]:
    if past.model_changed:
        yield "the model's files"
    for name, before, now in islice(past.packages, _MOST_PACKAGES):
        yield f"{code(name)} {code(before)} → {code(now)}"
    if past.model_changed is False and not past.packages:
        yield "neither the model's files nor a package, so what remains is `onnx-export.yaml` or this project"
