"""The action's inputs and outputs: one table that ``action.yml`` and the documentation are held to.

Inputs come from the workflow's author and are trusted; the files that they name come from a pull request and are not.
"""

from __future__ import annotations

import enum
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from onnx_export_action.entrypoints.github import toolkit
from onnx_export_action.vocabulary.errors import plan_error
from onnx_export_action.vocabulary.names.file_names import SETTINGS_NAME
from onnx_export_action.vocabulary.problems import did_you_mean, nearest, quoted
from onnx_export_action.vocabulary.results import FailOn

_COMMENT_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._]{0,63}(?:-[A-Za-z0-9._]{1,63}){0,8}")
_TRUE = frozenset({"true", "True", "TRUE"})  # YAML 1.2's core schema, as the toolkits of GitHub read it
_FALSE = frozenset({"false", "False", "FALSE"})


class Command(enum.StrEnum):
    """What the step does."""

    RUN = "run"
    PLAN = "plan"
    EXPORT = "export"
    VALIDATE = "validate"
    REPORT = "report"
    PUBLISH = "publish"


class CommentMode(enum.StrEnum):
    """When a pull request gets a comment; one that is there is kept true in every mode but never."""

    ALWAYS = "always"
    ON_CHANGE = "on-change"
    ON_FAILURE = "on-failure"
    NEVER = "never"


@dataclass(frozen=True)
class Input:
    """One input as ``action.yml`` declares it. ``choices`` are all values it can have, empty for free text."""

    name: str
    description: str
    default: str = ""
    choices: tuple[str, ...] = ()
    secret: bool = False


@dataclass(frozen=True)
class Output:
    """One output as ``action.yml`` declares it."""

    name: str
    description: str


_BOOLEAN = ("true", "false")


def _values(words: type[enum.StrEnum]) -> tuple[str, ...]:
    return tuple(word.value for word in words)


INPUTS = (
    Input(
        "command",
        "What to do. run: plan, export, prove and report. plan: say what changed. export: export and prove, without "
        "a comment. validate: prove the files that are there. report: one report and comment over `results`. "
        "publish: put the proven files where each target's `publish` says, and attach results to a release.",
        Command.RUN,
        _values(Command),
    ),
    Input("config", "The configuration file, relative to `working-directory`.", SETTINGS_NAME),
    Input("targets", "Names of the targets, by commas, spaces, lines or as a JSON list; all where empty."),
    Input(
        "changed-since",
        "Export only what changed since this commit or branch. auto: the base of the pull request, of the push or of "
        "the merge group, unless `targets` is given. none: everything.",
        "auto",
    ),
    Input("output", "Folder of all artifacts, results and reports; each target's own `output` where empty."),
    Input("working-directory", "Folder inside the workspace in which to work.", "."),
    Input("results", "For report: result files or patterns (`**/*.result.json`), one a line."),
    Input(
        "expected",
        "For report: the targets that must have a result, as the output `targets` of plan gives them. One without a "
        "result is an error: its job did not finish.",
    ),
    Input("base-result", "Result files or patterns of the base branch to compare with, one a line."),
    Input(
        "comment",
        "When to comment on the pull request. on-change: when a result differs from `base-result`, or without one "
        "when something was exported. on-failure: when not all is proven. A comment that is there is kept true.",
        CommentMode.ALWAYS,
        _values(CommentMode),
    ),
    Input("comment-key", "Name of the comment; two workflows that comment on one pull request need two.", "default"),
    Input(
        "require-comment",
        "Fail the step (exit code 4) when the comment could not be written.",
        "false",
        _BOOLEAN,
    ),
    Input(
        "fail-on",
        "What fails the step. export: an export that did not run. validation: also a wrong file. regression: also a "
        "file that became worse than `base-result`. never: nothing but a mistake in the inputs or the configuration. "
        "Where it is empty, each target's own `fail_on` holds.",
        choices=_values(FailOn),
    ),
    Input(
        "allow-remote-code",
        "Run Python code from the models' repositories, and the configuration classes that `onnx_config` names.",
        "false",
        _BOOLEAN,
    ),
    Input("github-token", "Token for the comment; needs `pull-requests: write`.", "${{ github.token }}", secret=True),
    Input(
        "hub-token",
        "Token of the Hugging Face Hub: to read private or gated models, and to publish where the workflow is no "
        "trusted publisher.",
        secret=True,
    ),
    Input(
        "publish",
        "With `command: run`: also publish the targets that pass, on a push, a release, a schedule or by hand.",
        "false",
        _BOOLEAN,
    ),
    Input(
        "cache-directory",
        "Folder inside the workspace for downloads from the Hub, to be kept by actions/cache.",
    ),
    Input("ca-certificate", "PEM text of a certificate authority to trust as well, for GitHub Enterprise Server."),
)

OUTPUTS = (
    Output("verdict", "pass, fail (a file is wrong) or error (something did not run)."),
    Output("result", "Paths of the result files, one a line, relative to the workspace."),
    Output("report", "Path of the whole report in Markdown, relative to the workspace."),
    Output("artifacts", "Paths of the artifact folders, one a line, relative to the workspace."),
    Output("repro", "Paths of the folders that show each wrong file again, one a line; empty where none."),
    Output("matrix", "JSON for `strategy.matrix`: one entry a target that changed, with `name` and `targets`."),
    Output("targets", "JSON list of the targets that changed; all of them where nothing is compared."),
    Output("changed", "true when there is something to export, else false."),
    Output("hub-commit-url", "Addresses of the commits or pull requests on the Hub, one a line; empty where none."),
    Output("comment-url", "Address of the comment, empty where none was written."),
)


@dataclass(frozen=True)
class Inputs:
    """The inputs, checked. Paths are resolved and lie inside the workspace; secrets never show in a repr."""

    command: Command
    config: str
    directory: Path
    targets: tuple[str, ...]
    changed_since: str
    output: Path | None
    results: tuple[str, ...]
    expected: tuple[str, ...] | None
    base_result: tuple[str, ...]
    comment: CommentMode
    comment_key: str
    require_comment: bool
    fail_on: FailOn | None
    allow_remote_code: bool
    publish: bool
    cache_directory: Path | None
    github_token: str | None = field(repr=False)
    hub_token: str | None = field(repr=False)
    ca_certificate: str | None = field(repr=False)


def read_inputs(workspace: Path) -> Inputs:
    """Read, mask and check the inputs, and take the secrets out of the environment.

    Raises:
        ExportError: an input or a value is unknown, or a path leads out of the workspace.
    """
    values = {declared.name: toolkit.read_input(declared.name) or _default(declared) for declared in INPUTS}
    for declared in INPUTS:
        if declared.secret and values[declared.name]:
            toolkit.mask(values[declared.name])
            toolkit.forget_input(declared.name)
    _refuse_unknown(toolkit.given_inputs())
    for declared in INPUTS:
        _refuse_unknown_value(declared, values[declared.name])
    directory = inside(workspace, values["working-directory"], "working-directory", workspace)
    if not directory.is_dir():
        raise plan_error(f"working-directory: there is no folder {quoted(values['working-directory'])}")
    return Inputs(
        command=Command(values["command"]),
        config=values["config"],
        directory=directory,
        targets=_names("targets", values["targets"]),
        changed_since=values["changed-since"],
        output=_optional_folder("output", values["output"], directory, workspace),
        results=_lines(values["results"]),
        expected=_names("expected", values["expected"]) if values["expected"] else None,
        base_result=_lines(values["base-result"]),
        comment=CommentMode(values["comment"]),
        comment_key=_comment_key(values["comment-key"]),
        require_comment=values["require-comment"] in _TRUE,
        fail_on=FailOn(values["fail-on"]) if values["fail-on"] else None,
        allow_remote_code=values["allow-remote-code"] in _TRUE,
        publish=values["publish"] in _TRUE,
        cache_directory=_optional_folder("cache-directory", values["cache-directory"], directory, workspace),
        github_token=values["github-token"] or None,
        hub_token=values["hub-token"] or None,
        ca_certificate=values["ca-certificate"] or None,
    )


def inside(base: Path, written: str, name: str, workspace: Path) -> Path:
    """``written``, relative to ``base``, with links followed.

    Raises:
        ExportError: it leads out of the workspace.
    """
    try:
        resolved = (base / written).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle, in Python 3.11
        raise plan_error(f"{name} {quoted(written)} cannot be followed: {quoted(str(error))}") from error
    if not resolved.is_relative_to(workspace.resolve()):
        raise plan_error(f"{name} {quoted(written)} leads out of the workspace", "give a path inside the repository")
    return resolved


def _default(declared: Input) -> str:
    # The runner fills in the expression; without a runner there is no token.
    return "" if declared.default.startswith("${{") else declared.default


def _refuse_unknown(given: list[str]) -> None:
    known = [declared.name for declared in INPUTS]
    for name in given:
        if name not in known:
            near = nearest(name.replace("_", "-"), known)
            meant = f"did you mean {quoted(near)}? " if near else ""
            raise plan_error(f"unknown input {quoted(name)}", f"{meant}inputs: {', '.join(known)}")


def _refuse_unknown_value(declared: Input, value: str) -> None:
    if not declared.choices or value in declared.choices or value == declared.default:
        return
    if declared.choices == _BOOLEAN and value in _TRUE | _FALSE:
        return
    meant = did_you_mean(value, declared.choices)
    valid = f"values: {', '.join(declared.choices)}"
    raise plan_error(f"{declared.name} cannot be {quoted(value)}", f"{meant} {valid}" if meant else valid)


def _names(name: str, text: str) -> tuple[str, ...]:
    """Names by commas, white space, or as a JSON list."""
    if not text.startswith("["):
        return tuple(dict.fromkeys(word for word in re.split(r"[\s,]+", text) if word))
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise plan_error(f"{name} is not a JSON list: {quoted(text)}") from error
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise plan_error(f"{name} is not a JSON list of names: {quoted(text)}")
    return tuple(dict.fromkeys(found))


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def folder_inside(name: str, written: str, base: Path, workspace: Path) -> Path:
    """A folder to write to: ``written``, relative to ``base``, with links followed; it need not exist yet.

    Raises:
        ExportError: it leads out of the workspace or into ``.git``, or is a file.
    """
    folder = inside(base, written, name, workspace)
    if ".git" in (part.casefold() for part in folder.relative_to(workspace.resolve()).parts):
        raise plan_error(f"{name} cannot lie inside .git")
    if os.path.lexists(folder) and not folder.is_dir():
        raise plan_error(f"{name} {quoted(written)} is a file", "give a folder")
    return folder


def _optional_folder(name: str, written: str, base: Path, workspace: Path) -> Path | None:
    return folder_inside(name, written, base, workspace) if written else None


def _comment_key(key: str) -> str:
    if len(key) > 64 or not _COMMENT_KEY.fullmatch(key):  # noqa: PLR2004 - as the message says
        raise plan_error(
            f"comment-key cannot be {quoted(key)}", "1 to 64 letters, digits, '.', '_' or single '-' between them"
        )
    return key
