"""Publishing as a step of a workflow: each target where its section says, then the evidence to the release."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from onnx_export_action.entrypoints.github.api import GitHubError, authorities
from onnx_export_action.entrypoints.github.context import Context
from onnx_export_action.entrypoints.github.inputs import Inputs
from onnx_export_action.entrypoints.github.outcome import OnHub
from onnx_export_action.entrypoints.github.releases import attach_to_release
from onnx_export_action.hub.proof import publish_error
from onnx_export_action.hub.publication import Publication
from onnx_export_action.pipeline.planning import destination_of, result_path_of
from onnx_export_action.pipeline.publishing import destination_on_hub, publish_folder
from onnx_export_action.project.plan_changes import changed_since_commit
from onnx_export_action.project.settings import Target
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.manifest import MANIFEST_NAME
from onnx_export_action.vocabulary.problems import quoted


def publish_targets(targets: Sequence[Target], inputs: Inputs, context: Context) -> OnHub:
    """Publish every target that has a section for it; what fails does not keep the others from it."""
    wanted = [target for target in targets if target.publish is not None]
    try:
        _require_clean(inputs, context)
    except ExportError as error:
        return OnHub(unpublished={target.name: error for target in wanted})
    publications: dict[str, Publication] = {}
    unpublished: dict[str, ExportError] = {}
    for target in wanted:
        folder = destination_of(target, inputs.output)
        try:
            publications[target.name] = publish_folder(folder, None, destination_on_hub(target), token=inputs.hub_token)
        except ExportError as error:
            unpublished[target.name] = error
    try:
        _attach([target for target in wanted if target.name in publications], inputs, context)
    except ExportError as error:
        unpublished["release"] = error
    return OnHub(publications, unpublished)


def _require_clean(inputs: Inputs, context: Context) -> None:
    """What a release publishes is what its tag holds.

    Raises:
        ExportError: files that git keeps were changed since.
    """
    if context.release is None:
        return
    changed = changed_since_commit(inputs.directory / inputs.config)
    if changed:
        raise publish_error(
            f"the release is not what is in the workspace: {quoted(changed[0])} was changed", "publish a clean checkout"
        )


def _attach(published: Sequence[Target], inputs: Inputs, context: Context) -> None:
    """Add manifests and results of what was published to the release that the step runs for, if it runs for one.

    Raises:
        ExportError: GitHub did not take them.
    """
    if context.release is None or inputs.github_token is None:
        return
    files: dict[str, Path] = {}
    for target in published:
        folder = destination_of(target, inputs.output)
        files[f"{target.name}.manifest.json"] = folder / MANIFEST_NAME
        files[f"{target.name}.result.json"] = result_path_of(folder)
    try:
        with authorities(inputs.ca_certificate) as bundle:
            attach_to_release(
                files,
                context.release,
                api_url=context.api_url,
                repository=context.repository,
                token=inputs.github_token,
                ca_bundle=bundle,
            )
    except GitHubError as error:
        message = f"the results are not attached to the release: {error.message}"
        raise publish_error(message, error.hint or "needs `permissions: contents: write`") from error
