"""``onnx-export publish``."""

from __future__ import annotations

from pathlib import Path

import click

from onnx_export_action.entrypoints.progress import printable
from onnx_export_action.vocabulary.results import ExitCode


@click.command()
@click.argument("folder", metavar="ARTIFACT_DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--repo", required=True, metavar="NS/NAME", help="Repository on the Hub; made where it is missing.")
@click.option("--result-json", type=click.Path(path_type=Path), help="The result that proves it; beside it by default.")
@click.option("--revision", default="main", show_default=True, metavar="BRANCH", help="Branch to write to.")
@click.option("--create-pr", is_flag=True, help="Open a pull request on the Hub instead.")
@click.option("--tag", help="Tag the commit.")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def publish(
    folder: Path, repo: str, result_json: Path | None, dry_run: bool, revision: str, tag: str | None, **options: bool
) -> ExitCode:
    """Publish the proven files of ARTIFACT_DIR to the Hugging Face Hub, in one commit."""
    from onnx_export_action.hub.publication import Destination
    from onnx_export_action.pipeline.publishing import publish_folder

    if "/" not in repo.strip("/"):
        raise click.UsageError("--repo must be the repository's whole name: org/name")
    if options["create_pr"] and tag is not None:
        raise click.UsageError("--tag needs a commit on the branch: leave out --create-pr")
    destination = Destination(repo, revision, options["create_pr"], tag, options["private"])
    publication = publish_folder(folder, result_json, destination, dry_run=dry_run)
    for line in publication.lines():
        click.echo(printable(line))
    return ExitCode.PASSED
