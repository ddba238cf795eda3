"""What the workflow gets to see, in an order in which results survive a failing API.

First the outputs, then the step's summary, then annotations, and the comment last. The policy decides the exit code:
an API that fails neither hides a verdict nor turns a pass into a failure, unless ``require-comment`` asks for that.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import msgspec

from onnx_export_action.entrypoints.github import toolkit
from onnx_export_action.entrypoints.github.annotations import (
    Annotation,
    Places,
    of_findings,
    of_problems,
    of_results,
    print_annotations,
)
from onnx_export_action.entrypoints.github.api import GitHubError, authorities
from onnx_export_action.entrypoints.github.comments import Change, Marker, PullRequests, Written
from onnx_export_action.entrypoints.github.context import Context
from onnx_export_action.entrypoints.github.inputs import Command, CommentMode, Inputs
from onnx_export_action.entrypoints.github.outcome import Outcome
from onnx_export_action.entrypoints.progress import printable
from onnx_export_action.judging.comparison import compare
from onnx_export_action.judging.policy import comparable, exit_code_of, regressions, verdict_over
from onnx_export_action.pipeline.installing import write_file
from onnx_export_action.report.escape import PROSE_LIMIT, code
from onnx_export_action.report.plan import plan_headline, render_plan
from onnx_export_action.report.render import render_markdown
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.results import ExitCode, TargetResult, Verdict

SUMMARY_BYTES = 900 * 1024  # GitHub drops a summary of more than 1 MiB unseen
REPORT_NAME = "onnx-export-report.md"
COMMENT_NAME = "onnx-export-comment.md"
_FORKS = "https://github.com/org/onnx-export-action/blob/v1/docs/action.md#forks"
_SILENT = (Command.PLAN, Command.EXPORT, Command.PUBLISH)


def report(outcome: Outcome, inputs: Inputs, context: Context, places: Places, folder: Path) -> ExitCode:
    """Tell all of it, with files in ``folder``, and return the step's exit code."""
    _write_report(outcome, folder)
    _set_outputs(outcome, context, folder)
    toolkit.append_summary(summary(outcome, SUMMARY_BYTES))
    worse = regressions(outcome.base, outcome.results)
    results = [] if outcome.problems else outcome.results  # a mistake of the configuration is told at its own line
    print_annotations(
        [
            *of_problems(outcome.problems, places),
            *of_results(results, worse, places),
            *(Annotation("error", _words(error), title=name) for name, error in outcome.unpublished.items()),
            *of_findings(outcome.findings, places),
        ]
    )
    policy = None if outcome.stopped else inputs.fail_on
    exit_code = exit_code_of(outcome.results, outcome.base, policy)
    if outcome.unpublished and exit_code is ExitCode.PASSED:
        exit_code = ExitCode.PUBLISHING
    try:
        written = _comment(outcome, inputs, context)
    except GitHubError as error:
        _tell_of_missing_comment(error, context, outcome, folder)
        return ExitCode.PUBLISHING if inputs.require_comment and exit_code is ExitCode.PASSED else exit_code
    toolkit.set_output("comment-url", written.url)
    return exit_code


def summary(outcome: Outcome, limit: int) -> str:
    """The report as Markdown of at most ``limit`` bytes."""
    for characters in (limit, limit // 2, limit // 4):  # a character has up to four bytes
        text = _text(outcome, characters)
        if len(text.encode()) <= limit:
            return text
    return text


def _words(error: ExportError) -> str:
    return error.message if error.hint is None else f"{error.message}: {error.hint}"


def _published(outcome: Outcome) -> str:
    """What was published where, and what was not, as Markdown."""
    lines = []
    for name, one in outcome.publications.items():
        place = f"{code(one.destination.repo)} at {code(one.destination.revision)}"
        what = f"published to {place}: {code(one.url)}" if one.url else f"{place} has all of it already"
        lines.append(f"- ✅ {code(name)}: {what}")
        lines += [f"  - {code(note, PROSE_LIMIT)}" for note in one.notes]
    lines += [f"- ❌ {code(name)}: {code(_words(error), PROSE_LIMIT)}" for name, error in outcome.unpublished.items()]
    return "\n#### On the Hub\n\n" + "\n".join(lines) + "\n" if lines else ""


def _text(outcome: Outcome, limit: int | None = None) -> str:
    """The report, or the plan where nothing was exported; a limited text leaves the plan's details out."""
    plan = outcome.plan
    if outcome.results:
        kept = "" if plan is None or len(plan.changed) == len(plan.targets) else f"\n{plan_headline(plan)}\n"
        kept += _published(outcome)
        room = None if limit is None else limit - len(kept)
        return render_markdown(outcome.results, base=comparable(outcome.base, outcome.results), limit=room) + kept
    if outcome.publications or outcome.unpublished:
        return f"### {len(outcome.publications)} published, {len(outcome.unpublished)} not\n{_published(outcome)}"
    if plan is None:
        return "### Nothing was checked\n"
    whole = render_plan(plan)
    return whole if limit is None or len(whole) <= limit else f"### {plan_headline(plan)}\n"


def _write_report(outcome: Outcome, folder: Path) -> None:
    write_file(folder / REPORT_NAME, _text(outcome).encode(errors="replace"))


def _set_outputs(outcome: Outcome, context: Context, folder: Path) -> None:
    planned = outcome.plan
    changed = planned.changed if planned else [result.target for result in outcome.results]
    toolkit.set_output("verdict", verdict_over(outcome.results).value)
    toolkit.set_output("result", _paths(outcome.result_files, context))
    toolkit.set_output("report", _paths([folder / REPORT_NAME], context))
    toolkit.set_output("artifacts", _paths(outcome.artifacts, context))
    toolkit.set_output("matrix", planned.matrix() if planned else '{"include": []}')
    toolkit.set_output("targets", msgspec.json.encode(changed).decode())
    toolkit.set_output("changed", "true" if changed else "false")
    toolkit.set_output("hub-commit-url", "\n".join(one.url for one in outcome.publications.values() if one.url))


def _paths(paths: Sequence[Path], context: Context) -> str:
    return "\n".join(Path(os.path.relpath(path, context.workspace)).as_posix() for path in paths)


def _comment(outcome: Outcome, inputs: Inputs, context: Context) -> Written:
    """Keep the pull request's comment true.

    Raises:
        GitHubError: it could not be written.
    """
    nobody = Written(Change.NONE)
    if inputs.comment is CommentMode.NEVER or inputs.command in _SILENT:
        return nobody
    if not context.has_pull_request:
        return nobody
    if not context.may_comment:
        raise GitHubError("a pull request from a fork, or of Dependabot, has a token that may not comment")
    if inputs.github_token is None:
        raise GitHubError("there is no token to comment with", "give `github-token`, or set `comment: never`")
    with authorities(inputs.ca_certificate) as bundle:
        pull_requests = PullRequests(
            api_url=context.api_url, repository=context.repository, token=inputs.github_token, ca_bundle=bundle
        )
        number = _number(context, pull_requests)
        marker = Marker(inputs.comment_key, _digest(outcome), context.run_id, context.run_attempt)
        create = _wants_comment(outcome, inputs.comment)
        return pull_requests.write(number, marker, lambda limit: _comment_text(outcome, context, limit), create=create)


def _number(context: Context, pull_requests: PullRequests) -> int:
    if context.pull_request is not None:
        return context.pull_request.number
    if context.head is not None:
        return pull_requests.find(context.head)
    message = "the event belongs to no pull request"
    raise GitHubError(message)


def _wants_comment(outcome: Outcome, mode: CommentMode) -> bool:
    """Whether to begin a comment. Where nothing was exported there is nothing to say."""
    if not outcome.results:
        return False
    if mode is CommentMode.ON_FAILURE:
        return verdict_over(outcome.results) is not Verdict.PASS
    if mode is CommentMode.ON_CHANGE and outcome.base:
        return bool(compare(comparable(outcome.base, outcome.results), outcome.results))
    return True


def _comment_text(outcome: Outcome, context: Context, limit: int) -> str:
    link = f"\n[The whole report]({context.run_url})\n"
    return _text(outcome, limit - len(link)) + link


def _digest(outcome: Outcome) -> str:
    """Hash of what the comment says but for times, so that a run that finds the same leaves the comment alone."""
    timeless = [_without_times(result) for result in outcome.results]
    base = [_without_times(result) for result in outcome.base]
    text = _text(replace(outcome, results=timeless, base=base))
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]


def _without_times(result: TargetResult) -> TargetResult:
    files = [msgspec.structs.replace(file, latency=None, call_ms=None) for file in result.files]
    return msgspec.structs.replace(result, timings={}, peak_rss_bytes=None, files=files)


def _tell_of_missing_comment(error: GitHubError, context: Context, outcome: Outcome, folder: Path) -> None:
    """The comment as a file, and in log and summary how it can be written after all."""
    write_file(folder / COMMENT_NAME, _text(outcome, 60_000).encode(errors="replace"))
    place = _paths([folder / COMMENT_NAME], context)
    click.echo(printable(f"no comment was written: {error.message}"))
    if error.hint:
        click.echo(printable(f"  {error.hint}"))
    toolkit.append_summary(
        f"\n**No comment was written**: {code(error.message, PROSE_LIMIT)}\n\n"
        f"It lies in {code(place)}. A second workflow, on `workflow_run`, can write it from the results of this one: "
        f"[two stages for forks]({_FORKS}).\n"
    )
