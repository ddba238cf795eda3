"""The container's entry point: inputs, the stages that they ask for, and what the workflow gets to see of it.

What is told is told by :mod:`.reporting`, results first, so that they survive a failing API. Of a pull request nothing
is trusted: its configuration and files are read as data, its code runs only where ``allow-remote-code`` says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from onnx_export_action.entrypoints.github import reporting, toolkit
from onnx_export_action.entrypoints.github.annotations import Annotation, Places, print_annotations
from onnx_export_action.entrypoints.github.context import Context, read_context
from onnx_export_action.entrypoints.github.inputs import Command, Inputs, folder_inside, inside, read_inputs
from onnx_export_action.entrypoints.github.outcome import Outcome
from onnx_export_action.entrypoints.github.publishing import publish_targets
from onnx_export_action.entrypoints.github.result_files import read_results
from onnx_export_action.entrypoints.github.rights import become_owner_of
from onnx_export_action.entrypoints.progress import Progress, progress_display
from onnx_export_action.isolation.memory import close_to_others
from onnx_export_action.judging.evidence import believed
from onnx_export_action.judging.policy import exit_code_after, verdict_of
from onnx_export_action.pipeline.explaining import repro_folder_of
from onnx_export_action.pipeline.planning import destination_of, result_path_of
from onnx_export_action.pipeline.running import check_target, run_target
from onnx_export_action.project.plan_changes import ChangePlan, plan_changes, plan_everything
from onnx_export_action.project.settings import Settings, SettingsError, Target, load_settings
from onnx_export_action.vocabulary.errors import ExportError, plan_error
from onnx_export_action.vocabulary.names.file_names import SETTINGS_NAME
from onnx_export_action.vocabulary.problems import quoted
from onnx_export_action.vocabulary.results import ExitCode, Failure, ModelInfo, Stage, TargetResult, Verdict
from onnx_export_hooks.findings import Finding
from onnx_export_hooks.light_hooks import findings_below

_CONFIGURATION = "configuration"


def main() -> ExitCode:
    """Run the action as the runner started it, and return the step's exit code."""
    toolkit.join_streams()
    try:
        return _run_step(read_context(os.environ))
    except ExportError as error:  # the inputs or the event: there is nothing to report on, and no way to
        message = error.message if error.hint is None else f"{error.message}: {error.hint}"
        print_annotations([Annotation("error", message, title="onnx-export")])
        return exit_code_after(error.stage)


def _run_step(context: Context) -> ExitCode:
    become_owner_of(context.workspace)
    close_to_others()
    inputs = read_inputs(context.workspace)
    os.chdir(inputs.directory)
    _prepare_hub(inputs)
    folder = inputs.output or inside(inputs.directory, "artifacts", "output", context.workspace)
    try:
        _refuse_strangers_files(inputs, context)
        outcome = _COMMANDS[inputs.command](inputs, context)
    except ExportError as error:
        outcome = _stopped(error)
    config = inside(inputs.directory, inputs.config, "config", context.workspace)
    targets = outcome.settings.targets if outcome.settings else ()
    return reporting.report(outcome, inputs, context, Places(context.workspace, config, targets), folder)


def _prepare_hub(inputs: Inputs) -> None:
    """Tell huggingface_hub where to keep downloads and with which token to read; processes of models never see it."""
    if inputs.cache_directory is not None:
        os.environ["HF_HOME"] = str(inputs.cache_directory)
    if inputs.hub_token is not None:
        os.environ["HF_TOKEN"] = inputs.hub_token


def _refuse_strangers_files(inputs: Inputs, context: Context) -> None:
    if context.strangers_files_with_rights and inputs.command not in (Command.PLAN, Command.REPORT):
        raise plan_error(
            f"{inputs.command} would work on a fork's files with the rights of this repository ({context.event})",
            "export in a workflow on pull_request, and comment in one on workflow_run with `command: report`",
        )


def _stopped(error: ExportError) -> Outcome:
    """A mistake in the configuration, as a result of its own: report, comment and exit code treat it like any other."""
    problems = error.problems if isinstance(error, SettingsError) else []
    failure = Failure(stage=Stage.PLAN, message=error.message, hint=error.hint)
    result = TargetResult(
        target=_CONFIGURATION, model=ModelInfo(source=SETTINGS_NAME), verdict=Verdict.ERROR, failure=failure
    )
    return Outcome(results=[result], stopped=True, problems=problems)


def _plan(inputs: Inputs, context: Context) -> Outcome:
    settings = _settings(inputs, context)
    base = _base(inputs, context)
    findings = [] if inputs.command is Command.EXPORT else _findings(inputs)
    return Outcome(settings=settings, base=base, findings=findings, plan=_changes(inputs, context, settings, base))


def _findings(inputs: Inputs) -> list[Finding]:
    """What the light hooks find in the working directory; a hook that cannot run here has nothing to say."""
    with toolkit.group("checking configuration and files"):
        return findings_below(Path(), Path(inputs.config))


def _run(inputs: Inputs, context: Context) -> Outcome:
    """Export and prove every target that changed."""

    def one(target: Target, progress: Progress, label: str) -> TargetResult:
        return run_target(
            target,
            inputs.output,
            Path(inputs.config),
            trust_remote_code=inputs.allow_remote_code,
            progress=progress.labelled(label),
        )

    outcome = _of_targets(_plan(inputs, context), inputs, one)
    if inputs.publish and inputs.command is Command.RUN and context.may_publish and outcome.settings:
        passed = {result.target for result in outcome.results if verdict_of(result) is Verdict.PASS}
        targets = [target for target in outcome.settings.targets if target.name in passed]
        return replace(outcome, hub=publish_targets(targets, inputs, context))
    return outcome


def _validate(inputs: Inputs, context: Context) -> Outcome:
    """Prove the files that are there, of every target that changed."""

    def one(target: Target, progress: Progress, label: str) -> TargetResult:
        return check_target(
            target, inputs.output, trust_remote_code=inputs.allow_remote_code, progress=progress.labelled(label)
        )

    return _of_targets(_plan(inputs, context), inputs, one)


def _publish(inputs: Inputs, context: Context) -> Outcome:
    """Publish what an earlier job or step has exported and proven."""
    if not context.may_publish:
        raise plan_error(f"{context.event} publishes nothing", "publish on a release or a push to the main branch")
    settings = _settings(inputs, context)
    targets = _chosen(inputs, settings)
    if not any(target.publish is not None for target in targets):
        raise plan_error("no target has a section `publish`", "add `publish: {repo: org/name}` to a target")
    return Outcome(settings=settings, hub=publish_targets(targets, inputs, context))


def _of_targets(outcome: Outcome, inputs: Inputs, work: Callable[[Target, Progress, str], TargetResult]) -> Outcome:
    assert outcome.plan is not None
    assert outcome.settings is not None
    targets = [target for target in outcome.settings.targets if target.name in outcome.plan.changed]
    results: list[TargetResult] = []
    with progress_display() as progress:
        for number, target in enumerate(targets, start=1):
            label = f"[{number}/{len(targets)}] {target.name}"
            with toolkit.group(f"{number} of {len(targets)}: {target.name}"):
                result = work(target, progress, label)
                progress.finished(label, result)
            results.append(result)
    folders = [destination_of(target, inputs.output) for target in targets]
    return replace(
        outcome,
        results=results,
        result_files=[path for path in map(result_path_of, folders) if path.is_file()],
        artifacts=[folder for folder in folders if folder.is_dir()],
        repro=[folder for folder in map(repro_folder_of, folders) if folder.is_dir()],
    )


def _report(inputs: Inputs, context: Context) -> Outcome:
    """One report over the results of other jobs, which may have run a stranger's files."""
    if not inputs.results:
        raise plan_error("report needs the input `results`", "give the result files, for example **/*.result.json")
    results = [believed(one) for one in read_results(inputs.results, inputs.directory, context.workspace)]
    if not results and inputs.expected is None:
        raise plan_error(f"no file matches results: {', '.join(map(quoted, inputs.results))}")
    results += _missing(inputs.expected or (), results)
    claimant = context.head if context.head is not None and context.head.from_fork else None
    return Outcome(results=results, base=_base(inputs, context), claimant=claimant)


def _missing(expected: Sequence[str], results: Sequence[TargetResult]) -> Iterator[TargetResult]:
    there = {result.target for result in results}
    for name in expected:
        if name not in there:
            message = "no result came from its job: it failed, was cancelled, or ran out of time"
            failure = Failure(stage=Stage.EXPORT, message=message, hint="see the log of that job")
            yield TargetResult(target=name, model=ModelInfo(source=""), verdict=Verdict.ERROR, failure=failure)


def _settings(inputs: Inputs, context: Context) -> Settings:
    inside(inputs.directory, inputs.config, "config", context.workspace)
    settings = load_settings(inputs.directory / inputs.config)
    if inputs.output is not None:  # a target's own output was checked with the file; here its name may be a link
        for target in settings.targets:
            folder_inside("the artifact folder", target.name, inputs.output, context.workspace)
    return settings


def _base(inputs: Inputs, context: Context) -> Sequence[TargetResult]:
    return read_results(inputs.base_result, inputs.directory, context.workspace) if inputs.base_result else []


def _chosen(inputs: Inputs, settings: Settings) -> list[Target]:
    known = [target.name for target in settings.targets]
    unknown = [name for name in inputs.targets if name not in known]
    if unknown:
        raise plan_error(f"there is no target {quoted(unknown[0])}", f"targets: {', '.join(known)}")
    return [target for target in settings.targets if not inputs.targets or target.name in inputs.targets]


def _changes(inputs: Inputs, context: Context, settings: Settings, base: Sequence[TargetResult]) -> ChangePlan:
    targets = _chosen(inputs, settings)
    since = inputs.changed_since
    if since == "auto":
        since = "none" if inputs.targets or context.base_commit is None else context.base_commit
    if since == "none":
        return plan_everything(targets, reason="everything was asked for")
    return plan_changes(inputs.directory / inputs.config, targets, since, base_results=base)


_COMMANDS: dict[Command, Callable[[Inputs, Context], Outcome]] = {
    Command.RUN: _run,
    Command.EXPORT: _run,
    Command.PLAN: _plan,
    Command.VALIDATE: _validate,
    Command.REPORT: _report,
    Command.PUBLISH: _publish,
}
