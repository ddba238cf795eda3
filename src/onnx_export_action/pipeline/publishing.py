"""Publish an artifact folder that its result proves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onnx_export_action.judging.evidence import believed
from onnx_export_action.pipeline.planning import result_path_of
from onnx_export_action.project.settings import Target
from onnx_export_action.vocabulary.errors import plan_error
from onnx_export_action.vocabulary.results import read_result

if TYPE_CHECKING:
    from onnx_export_action.hub.publication import Destination, Publication


def publish_folder(
    folder: Path, result_path: Path | None, destination: Destination, *, token: str | None = None, dry_run: bool = False
) -> Publication:
    """Publish an artifact folder; its result lies beside it unless ``result_path`` says otherwise.

    Raises:
        ExportError: there is no result, something in the folder is not proven, or the Hub refused or failed.
    """
    from onnx_export_action.hub.proof import publish_error
    from onnx_export_action.hub.publish import publish

    path = result_path_of(folder) if result_path is None else result_path
    try:
        result = believed(read_result(path))
    except FileNotFoundError as error:
        raise publish_error(f"there is no result {path} that proves {folder}", "export and prove it first") from error
    except (OSError, ValueError) as error:
        raise publish_error(str(error)) from error
    return publish(folder, result, destination, token=token, dry_run=dry_run)


def destination_on_hub(target: Target) -> Destination:
    """Where a target's section ``publish`` sends it.

    Raises:
        ExportError: it has none.
    """
    from onnx_export_action.hub.publication import Destination

    if target.publish is None:
        raise plan_error(f"the target {target.name} has no section `publish`", "add `publish: {repo: org/name}`")
    settings = target.publish
    return Destination(settings.repo, settings.revision, settings.create_pr, settings.tag, settings.private)
