"""What the workflow gets to see, in an order in which results survive a failing API.

First the outputs, then the step's summary, then annotations, and the comment last. The policy decides the exit code:
an API that fails neither hides a verdict nor turns a pass into a failure, unless ``require-comment`` asks for that.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
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
from onnx_export_action.entrypoints.github.outcome import OnHub, Outcome
from onnx_export_action.entrypoints.progress import printable
from onnx_export_action.judging.comparison import compare
from onnx_export_action.judging.policy import comparable, exit_code_after, exit_code_of, regressions, verdict_over
from onnx_export_action.pipeline.installing import write_file
from onnx_export_action.report.escape import PROSE_LIMIT, code
from onnx_export_action.report.plan import plan_headline, render_plan
from onnx_export_action.report.render import render_markdown
from onnx_export_action.vocabulary.errors import ExportError, write_error
from onnx_export_action.vocabulary.results import ExitCode, TargetResult, Verdict

SUMMARY_BYTES = 900 * 1024  # GitHub drops a summary of more than 1 MiB unseen
REPORT_NAME = "onnx-export-report.md"
COMMENT_NAME = "onnx-export-comment.md"
_FORKS = "https://github.com/org/onnx-export-action/blob/v1/docs/action.md#forks"
_SILENT = (Command.PLAN, Command.EXPORT, Command.PUBLISH)


def report(outcome: Outcome, inputs: Inputs, context: Context, places: Places, folder: Path) -> ExitCode:
    """Tell all of it, with files in ``folder``, and return the step's exit code.

    What cannot be written, on a full disk, is told as an error of its own, and the rest is told all the same.
    """
    unwritten = [
        *_unwritten(folder / REPORT_NAME, lambda: _write_report(outcome, folder)),
        *_unwritten("the step's outputs", lambda: _set_outputs(outcome, context, folder)),
        *_unwritten("the step's summary", lambda: toolkit.append_summary(summary(outcome, SUMMARY_BYTES))),
    ]
    worse = regressions(outcome.base, outcome.results)
    results = [] if outcome.problems else outcome.results  # a mistake of the configuration is told at its own line
    print_annotations(
        [
            *of_problems(outcome.problems, places),
            *of_results(results, worse, places),
            *(Annotation("error", _words(error), title=name) for name, error in outcome.hub.unpublished.items()),
            *(Annotation("error", _words(error), title="onnx-export") for error in unwritten),
            *of_findings(outcome.findings, places),
        ]
    )
    exit_code = _exit_code(outcome, inputs, unwritten)
    try:
        written = _comment(outcome, inputs, context)
    except GitHubError as error:
        _tell_of_missing_comment(error, context, outcome, folder)
        return ExitCode.PUBLISHING if inputs.require_comment and exit_code is ExitCode.PASSED else exit_code
    for failure in _unwritten("the output comment-url", lambda: toolkit.set_output("comment-url", written.url)):
        click.echo(printable(failure.message))
    return exit_code


def _unwritten(place: Path | str, write: Callable[[], None]) -> list[ExportError]:
    """Why ``write`` could not write; empty when it could."""
    try:
        write()
    except ExportError as error:
        return [error]
    except OSError as error:
        return [write_error(place, error)]
    return []


def _exit_code(outcome: Outcome, inputs: Inputs, unwritten: Sequence[ExportError]) -> ExitCode:
    """That of the verdicts; where these pass, that of what could not be written or published."""
    policy = None if outcome.stopped else inputs.fail_on
    code = exit_code_of(outcome.results, outcome.base, policy)
    failures = [*unwritten, *outcome.hub.unpublished.values()]
    return exit_code_after(failures[0].stage) if failures and code is ExitCode.PASSED else code


def summary(outcome: Outcome, limit: int) -> str:
    """The report as Markdown of at most ``limit`` bytes."""
    for characters in (limit, limit // 2, limit // 4):  # a character has up to four bytes
        text = _text(outcome, characters)
        if len(text.encode()) <= limit:
            return text
    return text


def _words(error: ExportError) -> str:
    return error.message if error.hint is None else f"{error.message}: {error.hint}"


def _published(hub: OnHub) -> str:
    """What was published where, and what was not, as Markdown."""
    lines = []
    for name, one in hub.publications.items():
        place = f"{code(one.destination.repo)} at {code(one.destination.revision)}"
        what = f"published to {place}: {code(one.url)}" if one.url else f"{place} has all of it already"
        lines.append(f"- ✅ {code(name)}: {what}")
        lines += [f"  - {code(note, PROSE_LIMIT)}" for note in one.notes]
    lines += [f"- ❌ {code(name)}: {code(_words(error), PROSE_LIMIT)}" for name, error in hub.unpublished.items()]
    return "\n#### On the Hub\n\n" + "\n".join(lines) + "\n" if lines else ""


def _claim(outcome: Outcome) -> str:
    """Whose word the results are, where a fork's own run made them: nothing of it was run again here."""
    if outcome.claimant is None:
        return ""
    whose = code(f"{outcome.claimant.repository or 'a fork'} at {outcome.claimant.commit[:12]}")
    return (
        f"> **A claim of {whose}**: a run of the fork's own code made these results. "
        "Their numbers were checked against each other; nothing was run again here.\n\n"
    )


def _text(outcome: Outcome, limit: int | None = None) -> str:
    """The report, or the plan where nothing was exported; a limited text leaves the plan's details out."""
    plan = outcome.plan
    if outcome.results:
        kept = "" if plan is None or len(plan.changed) == len(plan.targets) else f"\n{plan_headline(plan)}\n"
        kept += _published(outcome.hub)
        claim = _claim(outcome)
        room = None if limit is None else limit - len(kept) - len(claim)
        base = comparable(outcome.base, outcome.results)
        return claim + render_markdown(outcome.results, base=base, limit=room) + kept
    if outcome.hub.publications or outcome.hub.unpublished:
        counts = f"{len(outcome.hub.publications)} published, {len(outcome.hub.unpublished)} not"
        return f"### {counts}\n{_published(outcome.hub)}"
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
    toolkit.set_output("repro", _paths(outcome.repro, context))
    toolkit.set_output("matrix", planned.matrix() if planned else '{"include": []}')
    toolkit.set_output("targets", msgspec.json.encode(changed).decode())
    toolkit.set_output("changed", "true" if changed else "false")
    toolkit.set_output("hub-commit-url", "\n".join(one.url for one in outcome.hub.publications.values() if one.url))


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
    click.echo(printable(f"no comment was written: {error.message}"))
    if error.hint:
        click.echo(printable(f"  {error.hint}"))
    place = _paths([folder / COMMENT_NAME], context)
    told = (
        f"\n**No comment was written**: {code(error.message, PROSE_LIMIT)}\n\n"
        f"It lies in {code(place)}. A second workflow, on `workflow_run`, can write it from the results of this one: "
        f"[two stages for forks]({_FORKS}).\n"
    )
    text = _text(outcome, 60_000).encode(errors="replace")
    for failure in (
        *_unwritten(folder / COMMENT_NAME, lambda: write_file(folder / COMMENT_NAME, text)),
        *_unwritten("the step's summary", lambda: toolkit.append_summary(told)),
    ):
        click.echo(printable(failure.message))
