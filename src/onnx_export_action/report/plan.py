"""A plan as Markdown: which targets are exported again, and why."""

from __future__ import annotations

from collections.abc import Iterator

from onnx_export_action.project.plan_changes import ChangePlan
from onnx_export_action.report.escape import PROSE_LIMIT, code

_MAX_ROWS = 1000


def plan_headline(plan: ChangePlan) -> str:
    """One line: how many targets are exported again, compared with what."""
    total, changed = len(plan.targets), len(plan.changed)
    since = "" if plan.base is None else f" since {code(plan.base[:12])}"
    if not changed:
        return f"✅ Nothing to export: {_count(total)} unchanged{since}"
    return f"{changed} of {_count(total)} to export{since}"


def render_plan(plan: ChangePlan) -> str:
    """The plan with a row a target."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: ChangePlan) -> Iterator[str]:
    yield f"### {plan_headline(plan)}"
    yield ""
    yield "| Target | Exported again, because |"
    yield "|---|---|"
    for target in plan.targets[:_MAX_ROWS]:
        reasons = "<br>".join(code(reason, PROSE_LIMIT) for reason in target.reasons) or "no"
        yield f"| {code(target.name)} | {reasons} |"
    if len(plan.targets) > _MAX_ROWS:
        yield f"\nand {len(plan.targets) - _MAX_ROWS} more targets"
    for note in plan.notes[:_MAX_ROWS]:
        yield f"\n- {code(note, PROSE_LIMIT)}"


def _count(total: int) -> str:
    return "1 target" if total == 1 else f"{total} targets"
