"""The commands. Each reads its options, calls a stage and turns the result into an exit code.

Progress and errors go to stderr; stdout carries the answer alone, so that it can be piped.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from onnx_export_action.entrypoints.command_line.progress import printable, progress_display
from onnx_export_action.judging.policy import comparable, exit_code_of
from onnx_export_action.pipeline.installing import require_writable_file, write_file
from onnx_export_action.vocabulary.errors import ExportError, plan_error
from onnx_export_action.vocabulary.results import (
    ExitCode,
    FailOn,
    Stage,
    TargetResult,
    encode,
    read_result,
    result_schema,
)
from onnx_export_action.vocabulary.variants import FLOAT32_VARIANTS, REFERENCE_VARIANT, VARIANTS, variant_meant
from onnx_export_action.vocabulary.version import VERSION

if TYPE_CHECKING:
    from onnx_export_action.project.plan_changes import ChangePlan
    from onnx_export_action.project.settings import Target
    from onnx_export_action.vocabulary.jobs import Declaration

ENGINES = ("auto", "tracer", "torch-export")
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Command = TypeVar("Command", bound=Callable[..., Any])


class ForUsers(click.Command):
    """Turns errors meant for the user into one message and an exit code; nobody needs a traceback for a mistake."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run as click does, and exit with the code of the result or of the mistake."""
        kwargs["standalone_mode"] = False
        for interrupt in _INTERRUPTS:
            signal.signal(interrupt, _interrupt)
        try:
            code = super().main(*args, **kwargs)
        except ExportError as error:
            _complain(error.message, error.hint)
            codes = {Stage.PLAN: ExitCode.USAGE, Stage.PUBLISH: ExitCode.PUBLISHING}
            code = codes.get(error.stage, ExitCode.ERROR)
        except click.ClickException as error:
            error.show()
            code = ExitCode.USAGE
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted; unfinished files were removed", err=True)
            code = ExitCode.INTERRUPTED
        except BrokenPipeError:  # the reader of our stdout has gone
            with contextlib.suppress(OSError):
                sys.stderr.close()
            code = ExitCode.ERROR
        except Exception as error:  # a bug of ours: exit code 1, Python's own, would say that a file is wrong
            click.echo(f"internal error: {_place_of(error)}", err=True)
            click.echo("  this is a bug in onnx-export: please report it with this line", err=True)
            code = ExitCode.ERROR
        sys.exit(int(code or 0))


class _Commands(ForUsers, click.Group):
    """All commands."""


class VariantName(click.Choice[str]):
    """A variant; says what a misspelt one, or another tool's word for it, most likely means."""

    def get_invalid_choice_message(self, value: object, ctx: click.Context | None) -> str:
        """The message for a word that is no variant."""
        meant = variant_meant(str(value))
        hint = f" Did you mean {meant!r}?" if meant else ""
        return super().get_invalid_choice_message(value, ctx) + hint


def _interrupt(*_: object) -> NoReturn:
    for interrupt in _INTERRUPTS:  # a second Ctrl-C would interrupt the removal of what the first one stopped
        signal.signal(interrupt, signal.SIG_IGN)
    raise KeyboardInterrupt


def _place_of(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return printable(f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})")


def _complain(message: str, hint: str | None) -> None:
    """Messages quote what a model's files say: each line is made harmless to a terminal and to a workflow's log."""
    click.echo("\n".join(printable(line) for line in f"error: {message}".splitlines()), err=True)
    if hint:
        click.echo(f"  {printable(hint)}", err=True)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="onnx-export")
def main() -> None:
    """Export Hugging Face models to ONNX, prove that the files compute what PyTorch computes, and report."""


def _declared_class(_context: click.Context, _option: click.Parameter, written: str | None) -> Declaration:
    from onnx_export_action.project.targets import class_of_caller
    from onnx_export_action.vocabulary.jobs import Declaration

    return Declaration() if written is None else class_of_caller(written)


def _model_options(command: Command) -> Command:
    """Options that say which model, as what, and how close the file must be."""
    options = (
        click.option("--task", default="auto", show_default=True, help="Task or legacy feature name."),
        click.option(
            "--weights",
            type=click.Choice(["load", "random"]),
            default="load",
            show_default=True,
            help="Random: built from config.json with seeded weights.",
        ),
        click.option("--revision", help="Branch, tag or commit of a Hub id."),
        click.option(
            "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of inputs and weights."
        ),
        click.option(
            "--samples", type=click.Path(path_type=Path), help="Real inputs: a .jsonl, .csv or .txt file, or a folder."
        ),
        click.option("--atol", type=click.FloatRange(0.0, min_open=True), help="Absolute tolerance of every output."),
        click.option("--rtol", type=click.FloatRange(0.0), help="Relative tolerance of every output."),
        click.option("--latency", is_flag=True, help="Also measure how long a call takes, beside PyTorch."),
        click.option("--trust-remote-code", is_flag=True, help="Run Python code from the model's repository."),
        click.option(
            "--onnx-config",
            "declaration",
            metavar="FILE.py:CLASS",
            callback=_declared_class,
            help="A configuration class of your own; needs --trust-remote-code.",
        ),
        click.option("--result-json", type=click.Path(path_type=Path), help="Write the result to this file."),
    )
    for option in reversed(options):
        command = option(command)
    return command


_config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=Path("onnx-export.yaml"),
    show_default=True,
    help="The configuration file.",
)


_fail_on_option = click.option(
    "--fail-on",
    type=click.Choice([word.value for word in FailOn]),
    callback=lambda _context, _option, word: None if word is None else FailOn(word),
    help="What fails the command, instead of each target's own fail_on.",
)
_base_option = click.option(
    "--base",
    "base",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Result of the base branch or the last release to compare with; may be repeated.",
)


@main.command()
@_config_option
@click.option("--target", "names", multiple=True, metavar="NAME", help="Only this target; may be repeated.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder of all artifacts, instead of each 'output'.")
@click.option("--changed-since", metavar="REF", help="Only targets that changed since this commit or branch.")
@click.option(
    "--trust-remote-code",
    is_flag=True,
    help="Run Python code from the models' repositories, and classes that onnx_config names.",
)
@_base_option
@_fail_on_option
def run(
    config_path: Path,
    names: tuple[str, ...],
    output: Path | None,
    changed_since: str | None,
    trust_remote_code: bool,
    base: tuple[Path, ...],
    fail_on: FailOn | None,
) -> ExitCode:
    """Export and prove every target of onnx-export.yaml; the report goes to stdout.

    Beside each artifact folder stands NAME.result.json.
    """
    from onnx_export_action.pipeline.stages import run_target
    from onnx_export_action.report.plan import plan_headline

    before = [_read(path) for path in base]
    targets, plan = _planned(config_path, names, changed_since)
    if not targets:
        click.echo(f"### {plan_headline(plan)}")
        return ExitCode.PASSED
    results = []
    with progress_display() as progress:
        for number, target in enumerate(targets, start=1):
            label = f"[{number}/{len(targets)}] {target.name}"
            shown = progress.labelled(label)
            result = run_target(target, output, config_path, trust_remote_code=trust_remote_code, progress=shown)
            results.append(result)
            progress.finished(label, result)
    return _report_and_judge(results, before, fail_on)


@main.command()
@_config_option
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
    _, planned = _planned(config_path, names, changed_since)
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


def _planned(config_path: Path, names: tuple[str, ...], changed_since: str | None) -> tuple[list[Target], ChangePlan]:
    from onnx_export_action.project.plan_changes import plan_changes, plan_everything
    from onnx_export_action.project.settings import load_settings

    targets = _chosen(load_settings(config_path).targets, names)
    if changed_since is None:
        return targets, plan_everything(targets, reason="everything is exported without --changed-since")
    planned = plan_changes(config_path, targets, changed_since)
    return [target for target in targets if target.name in planned.changed], planned


@main.command()
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
    from onnx_export_action.hub.publish import Destination
    from onnx_export_action.pipeline.stages import publish_folder

    if "/" not in repo.strip("/"):
        raise click.UsageError("--repo must be the repository's whole name: org/name")
    if options["create_pr"] and tag is not None:
        raise click.UsageError("--tag needs a commit on the branch: leave out --create-pr")
    destination = Destination(repo, revision, options["create_pr"], tag, options["private"])
    publication = publish_folder(folder, result_json, destination, dry_run=dry_run)
    for line in publication.lines():
        click.echo(printable(line))
    return ExitCode.PASSED


@main.command()
def action() -> ExitCode:
    """Work as a step of GitHub Actions: inputs from the environment, outputs to the runner's files."""
    from onnx_export_action.entrypoints.github.action import main as run_action

    return run_action()


def _chosen(targets: Sequence[Target], names: tuple[str, ...]) -> list[Target]:
    known = [target.name for target in targets]
    for name in names:
        if name not in known:
            raise plan_error(f"there is no target {name!r}", f"targets: {', '.join(known)}")
    return [target for target in targets if not names or target.name in names]


@main.command()
@click.argument("model")
@click.argument("output", type=click.Path(path_type=Path))
@_model_options
@click.option("--opset", type=click.IntRange(14, 23), default=18, show_default=True, help="ONNX operator set.")
@click.option("--engine", type=click.Choice(ENGINES), default="auto", show_default=True, help="Export engine.")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    type=VariantName(VARIANTS),
    default=(REFERENCE_VARIANT,),
    show_default=True,
    help="Precision or graph optimisation level; may be repeated. fp32 is always made: the others are made from it.",
)
@click.option(
    "--high-precision",
    "high_precision",
    multiple=True,
    metavar="VARIANT=NODES",
    help="Nodes that stay in float32: auto, or operators and patterns of names with commas between; may be repeated.",
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["onnx", "torchscript"]),
    default="onnx",
    show_default=True,
    help="File format.",
)
@click.option("--no-validate", is_flag=True, help="Write the files without proving them.")
def export(
    model: str,
    output: Path,
    opset: int,
    engine: str,
    variants: tuple[str, ...],
    high_precision: tuple[str, ...],
    file_format: str,
    no_validate: bool,
    **options: Any,
) -> ExitCode:
    """Export MODEL (a folder or a Hub id) to OUTPUT and prove its files; the report goes to stdout."""
    from onnx_export_action.pipeline.stages import Request, export_and_check
    from onnx_export_action.vocabulary.jobs import TORCHSCRIPT

    if file_format == TORCHSCRIPT:
        _require_defaults("engine", "opset", "variants")
        engine = TORCHSCRIPT
    result_json = options.pop("result_json")
    if no_validate and result_json is not None:
        raise click.UsageError("--result-json needs validation: without it there is no result")
    if result_json is not None:
        require_writable_file(result_json)
    request = Request(
        name=output.name or "model",
        model=model,
        destination=output,
        opset=opset,
        engine=engine,
        variants=tuple(dict.fromkeys(variants)),
        high_precision=_kept_nodes(high_precision, variants),
        **_request_options(options),
    )
    with progress_display() as progress:
        result = export_and_check(request, progress=progress.labelled(model), validate=not no_validate)
        progress.finished(model, result, validated=not no_validate)
    result.reproduce = _reproduce()
    if no_validate and result.failure is None:
        return ExitCode.PASSED
    return _finish(result, result_json)


def _require_defaults(*names: str) -> None:
    """Refuse options of ONNX for another format."""
    context = click.get_current_context()
    for option in context.command.params:
        given = context.get_parameter_source(option.name or "") is click.core.ParameterSource.COMMANDLINE
        if option.name in names and given:
            raise click.UsageError(f"{option.opts[0]} is for ONNX: a TorchScript file has none")


@main.command()
@click.argument("model")
@click.argument("onnx_folder", metavar="ONNX_DIR", type=click.Path(path_type=Path))
@_model_options
def validate(model: str, onnx_folder: Path, **options: Any) -> ExitCode:
    """Prove the ONNX files in ONNX_DIR against MODEL; the report goes to stdout."""
    from onnx_export_action.pipeline.stages import Request, check_folder

    result_json = options.pop("result_json")
    if result_json is not None:
        require_writable_file(result_json)
    request = Request(
        name=onnx_folder.resolve().name, model=model, destination=onnx_folder, **_request_options(options)
    )
    with progress_display() as progress:
        result = check_folder(request, progress=progress.labelled(str(onnx_folder)))
        progress.finished(str(onnx_folder), result)
    result.reproduce = _reproduce()
    return _finish(result, result_json)


def _kept_nodes(written: Sequence[str], variants: Sequence[str]) -> dict[str, list[str]]:
    kept: dict[str, list[str]] = {}
    for one in written:
        variant, _, nodes = one.partition("=")
        if variant not in variants or not nodes:
            raise click.UsageError(f"--high-precision {one}: write VARIANT=NODES, of a variant that --variant names")
        if variant in FLOAT32_VARIANTS:
            raise click.UsageError(f"--high-precision {one}: all nodes of {variant} are in float32")
        kept.setdefault(variant, []).extend(nodes.split(","))
    return kept


def _request_options(options: dict[str, Any]) -> dict[str, Any]:
    from onnx_export_action.vocabulary.jobs import LatencyBounds, OutputTolerance

    tolerance = OutputTolerance(atol=options.pop("atol"), rtol=options.pop("rtol"))
    latency = LatencyBounds() if options.pop("latency") else None
    return {**options, "default_tolerance": tolerance, "latency": latency}


def _reproduce() -> str:
    return shlex.join(["onnx-export", *sys.argv[1:]])


def _finish(result: TargetResult, result_json: Path | None) -> ExitCode:
    if result_json is not None:
        write_file(result_json, encode(result))
    return _report_and_judge([result])


def _report_and_judge(
    results: list[TargetResult], base: Sequence[TargetResult] = (), fail_on: FailOn | None = None
) -> ExitCode:
    from onnx_export_action.report.render import render_markdown

    click.echo(render_markdown(results, base=comparable(base, results)))
    for result in results:
        complain_of(result)
    return exit_code_of(results, base, fail_on)


def complain_of(result: TargetResult) -> None:
    """Say on stderr why a target has no files; why a file is wrong is in its own result."""
    if result.failure is not None:
        _complain(f"{result.target}: {result.failure.message}", result.failure.hint)


@main.command()
@click.argument(
    "results",
    nargs=-1,
    required=True,
    metavar="RESULT_JSON...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@_base_option
@click.option(
    "--format",
    "report_format",
    type=click.Choice(["markdown", "html", "json"]),
    default="markdown",
    show_default=True,
    help="Format of the report.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this file instead of stdout.")
@_fail_on_option
def report(
    results: tuple[Path, ...], base: tuple[Path, ...], report_format: str, output: Path | None, fail_on: FailOn | None
) -> ExitCode:
    """Render results as one report; exits as the verdicts say."""
    from onnx_export_action.report.html import render_html
    from onnx_export_action.report.render import render_json, render_markdown

    read, before = [_read(path) for path in results], [_read(path) for path in base]
    render = {"markdown": render_markdown, "json": render_json, "html": render_html}[report_format]
    text = render(read, base=before)
    if output is None:
        click.echo(text)
    else:
        write_file(output, text.encode())
    return exit_code_of(read, before, fail_on)


def _read(path: Path) -> TargetResult:
    try:
        return read_result(path)
    except (ValueError, OSError) as error:
        raise plan_error(str(error)) from error


@main.command()
@click.argument("model_type", required=False)
@click.option(
    "--format",
    "table_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Format of the answer.",
)
def tasks(model_type: str | None, table_format: str) -> None:
    """List the tasks of MODEL_TYPE, or of every model type."""
    from onnx_export_action.onnx_config.registry import TasksManager

    model_types = [model_type] if model_type else TasksManager.get_supported_model_types()
    table = {name: list(TasksManager.get_supported_tasks_for_model_type(name)) for name in sorted(model_types)}
    if table_format == "json":
        click.echo(json.dumps(table, indent=2))
    elif model_type:
        click.echo("\n".join(table[model_type]))
    else:
        width = max(map(len, table))
        click.echo("\n".join(f"{name:<{width}}  {', '.join(found)}" for name, found in table.items()))


@main.command()
@click.argument("what", type=click.Choice(["config", "result", "manifest"]))
def schema(what: str) -> None:
    """Print the JSON Schema of onnx-export.yaml, result.json or manifest.json."""
    from onnx_export_action.project.manifest import manifest_schema
    from onnx_export_action.project.settings_schema import settings_schema

    schemas = {"config": settings_schema, "result": result_schema, "manifest": manifest_schema}
    click.echo(json.dumps(schemas[what](), indent=2))


@main.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path())
@click.option("--model", "hub_ids", multiple=True, metavar="HUB_ID", help="A model on the Hub; may be repeated.")
@click.option("--yes", is_flag=True, help="Change existing files without asking.")
@click.option("--dry-run", is_flag=True, help="Only show the differences.")
def init(folder: Path, hub_ids: tuple[str, ...], yes: bool, dry_run: bool) -> ExitCode:
    """Write a starting onnx-export.yaml, workflow and hook entry for the models in FOLDER."""
    from onnx_export_action.entrypoints.starting_files import Proposal, proposals

    def write(proposal: Proposal) -> None:
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
