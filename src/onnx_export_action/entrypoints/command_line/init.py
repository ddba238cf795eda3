"""``onnx-export init``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from onnx_export_action.pipeline.installing import require_writable_file, write_file
from onnx_export_action.vocabulary.results import ExitCode


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path())
@click.option("--model", "hub_ids", multiple=True, metavar="HUB_ID", help="A model on the Hub; may be repeated.")
@click.option("--yes", is_flag=True, help="Change existing files without asking.")
@click.option("--dry-run", is_flag=True, help="Only show the differences.")
def init(folder: Path, hub_ids: tuple[str, ...], yes: bool, dry_run: bool) -> ExitCode:
    """Write a starting onnx-export.yaml, workflow and hook entry for the models in FOLDER."""
    from onnx_export_action.entrypoints.starting_files import Proposal, proposals

    def write(proposal: Proposal) -> None:
        require_writable_file(folder / proposal.path)
        write_file(folder / proposal.path, proposal.after.encode())
        click.echo(f"wrote {proposal.path}", err=True)

    unanswered = []
    for proposal in proposals(folder, hub_ids):
        if proposal.by_hand is not None:
            click.echo(proposal.by_hand, err=True)
        elif not proposal.changes:
            click.echo(f"{proposal.path} needs no change", err=True)
        else:
            click.echo(proposal.difference())
            if dry_run:
                continue
            if yes or proposal.before is None:
                write(proposal)
            elif not sys.stdin.isatty():
                unanswered.append(str(proposal.path))
            elif click.confirm(f"change {proposal.path}?", err=True):
                write(proposal)
    if unanswered:
        raise click.UsageError(f"nobody to ask: {', '.join(unanswered)} left as it was; pass --yes to change it")
    return ExitCode.PASSED
