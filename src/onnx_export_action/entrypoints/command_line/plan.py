"""``onnx-export plan``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onnx_export_action.entrypoints.command_line.options import config_option
from onnx_export_action.entrypoints.progress import printable
from onnx_export_action.vocabulary.errors import plan_error
from onnx_export_action.vocabulary.results import encode

if TYPE_CHECKING:
    from onnx_export_action.project.plan_changes import ChangePlan
    from onnx_export_action.project.settings import Target


@click.command()
@config_option
@click.option("--target", "names", multiple=True, metavar="NAME", help="Only this target; may be repeated.")
@click.option("--changed-since", metavar="REF", help="Compare with this commit or branch.")
@click.option(
    "--format",
    "plan_format",
    type=click.Choice(["table", "json", "github-matrix"]),
    default="table",
    show_default=True,
    help="Format of the answer.",
)
def plan(config_path: Path, names: tuple[str, ...], changed_since: str | None, plan_format: str) -> None:
    """Say which targets of onnx-export.yaml would be exported, and why."""
    _, planned = planned_targets(config_path, names, changed_since)
    if plan_format == "json":
        click.echo(encode(planned).decode(), nl=False)
    elif plan_format == "github-matrix":
        click.echo(planned.matrix())
    else:
        width = max(len(target.name) for target in planned.targets)
        for target in planned.targets:
            click.echo(printable(f"{target.name:<{width}}  {'; '.join(target.reasons) or 'unchanged'}"))
    for note in planned.notes:
        click.echo(printable(note), err=True)


def planned_targets(
    config_path: Path, names: tuple[str, ...], changed_since: str | None
) -> tuple[list[Target], ChangePlan]:
    """The targets to export, and the plan that says why.

    Raises:
        ExportError: the configuration is wrong, or a name is of no target.
    """
    from onnx_export_action.project.plan_changes import plan_changes, plan_everything
    from onnx_export_action.project.settings import load_settings

    targets = _chosen(load_settings(config_path).targets, names)
    if changed_since is None:
        return targets, plan_everything(targets, reason="everything is exported without --changed-since")
    planned = plan_changes(config_path, targets, changed_since)
    return [target for target in targets if target.name in planned.changed], planned


def _chosen(targets: Sequence[Target], names: tuple[str, ...]) -> list[Target]:
    known = [target.name for target in targets]
    for name in names:
        if name not in known:
            raise plan_error(f"there is no target {name!r}", f"targets: {', '.join(known)}")
    return [target for target in targets if not names or target.name in names]
