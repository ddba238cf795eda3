"""What happened: the event, the pull request it belongs to, and whether the step may be trusted with a token.

The payload is GitHub's, but most texts in it are a stranger's (titles, branch names): only what is declared here is
read.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from onnx_export_action.vocabulary.errors import plan_error

_NO_COMMIT = "0" * 40
_DEPENDABOT = "dependabot[bot]"
# Their payloads name the pull request alike; but for the second, forks have a token that can only read.
_PULL_REQUEST_EVENTS = (
    "pull_request",
    "pull_request_target",
    "pull_request_review",
    "pull_request_review_comment",
)
# Events about commits of the repository; "" is no runner at all. `issue_comment` and its like name no commit.
_OWN_EVENTS = frozenset({"", "push", "release", "create", "schedule", "workflow_dispatch", "repository_dispatch"})
_MAX_EVENT_BYTES = 30 * 1024 * 1024  # webhook payloads are at most 25 MB

Payload = TypeVar("Payload", bound=msgspec.Struct)


class Origin(enum.StrEnum):
    """Where the code of a pull request comes from, which decides what its token may do."""

    OWN = "own"  # a branch of this repository
    FORK = "fork"
    DEPENDABOT = "dependabot"  # a branch of this repository, run with a read-only token


@dataclass(frozen=True)
class PullRequest:
    """A pull request; ``base_commit`` is the newest commit of its base branch, where the event says so."""

    number: int
    origin: Origin
    base_commit: str | None = None


@dataclass(frozen=True)
class Head:
    """The commit that another workflow ran for: what a ``workflow_run`` knows of its pull request.

    ``branch`` and ``repository`` are empty when they were deleted.
    """

    commit: str
    branch: str
    repository: str
    from_fork: bool


@dataclass(frozen=True)
class Context:
    """One run of the action, as GitHub describes it.

    ``pull_request`` is None for events without one, and for ``workflow_run``, whose ``head`` leads to it.
    """

    event: str
    repository: str
    workspace: Path
    server_url: str
    api_url: str
    run_id: int
    run_attempt: int
    pull_request: PullRequest | None = None
    head: Head | None = None
    base_commit: str | None = None
    release: int | None = None

    @property
    def run_url(self) -> str:
        """The page of this run, with its summary."""
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}"

    @property
    def has_pull_request(self) -> bool:
        """Whether there is a pull request to comment on, known or to be found."""
        return self.pull_request is not None or self.head is not None

    @property
    def may_publish(self) -> bool:
        """Whether what is checked out is the repository's own: events that a stranger starts have its rights too."""
        return self.event in _OWN_EVENTS and not self.has_pull_request

    @property
    def may_comment(self) -> bool:
        """Whether the step's own token can be expected to write: not for forks and Dependabot on ``pull_request``."""
        if self.pull_request is None:
            return self.head is not None
        return self.event == "pull_request_target" or self.pull_request.origin is Origin.OWN

    @property
    def strangers_files_with_rights(self) -> bool:
        """Whether the event has rights of this repository while the commit that it is about comes from a fork."""
        if self.event == "pull_request_target":
            return self.pull_request is not None and self.pull_request.origin is Origin.FORK
        return self.head is not None and self.head.from_fork


def read_context(environment: Mapping[str, str]) -> Context:
    """Read what the runner says of this run; outside a runner, a run without an event.

    Raises:
        ExportError: the event's file is missing or is not what GitHub sends.
    """
    event = environment.get("GITHUB_EVENT_NAME", "")
    repository = environment.get("GITHUB_REPOSITORY", "")
    details = _details(event, environment)
    return Context(
        event=event,
        repository=repository,
        workspace=Path(environment.get("GITHUB_WORKSPACE") or Path.cwd()).resolve(),
        server_url=environment.get("GITHUB_SERVER_URL") or "https://github.com",
        api_url=environment.get("GITHUB_API_URL") or "https://api.github.com",
        run_id=_number(environment.get("GITHUB_RUN_ID")),
        run_attempt=_number(environment.get("GITHUB_RUN_ATTEMPT")),
        pull_request=details.pull_request,
        head=details.head,
        base_commit=details.base_commit,
        release=details.release,
    )


@dataclass(frozen=True)
class _Details:
    """What the payload adds."""

    pull_request: PullRequest | None = None
    head: Head | None = None
    base_commit: str | None = None
    release: int | None = None


class _Repository(msgspec.Struct):
    full_name: str


class _Account(msgspec.Struct):
    login: str


class _Commit(msgspec.Struct):
    sha: str
    repo: _Repository | None = None  # None when a fork was deleted


class _PullRequestBody(msgspec.Struct):
    number: int
    head: _Commit
    base: _Commit
    user: _Account | None = None


class _PullRequestEvent(msgspec.Struct):
    pull_request: _PullRequestBody
    repository: _Repository
    sender: _Account | None = None


class _Run(msgspec.Struct):
    event: str
    head_sha: str
    head_branch: str | None = None
    head_repository: _Repository | None = None


class _WorkflowRunEvent(msgspec.Struct):
    workflow_run: _Run
    repository: _Repository


class _PushEvent(msgspec.Struct):
    before: str = _NO_COMMIT


class _MergeGroup(msgspec.Struct):
    base_sha: str


class _MergeGroupEvent(msgspec.Struct):
    merge_group: _MergeGroup


class _Release(msgspec.Struct):
    id: int


class _ReleaseEvent(msgspec.Struct):
    release: _Release


def _details(event: str, environment: Mapping[str, str]) -> _Details:
    if event in _PULL_REQUEST_EVENTS:
        return _of_pull_request(_payload(environment, _PullRequestEvent), environment.get("GITHUB_ACTOR", ""))
    if event == "workflow_run":
        return _Details(head=_head(_payload(environment, _WorkflowRunEvent)))
    if event == "push":
        before = _payload(environment, _PushEvent).before
        return _Details(base_commit=None if before == _NO_COMMIT else before)
    if event == "release":
        return _Details(release=_payload(environment, _ReleaseEvent).release.id)
    if event == "merge_group":
        return _Details(base_commit=_payload(environment, _MergeGroupEvent).merge_group.base_sha)
    return _Details()


def _of_pull_request(payload: _PullRequestEvent, actor: str) -> _Details:
    body = payload.pull_request
    base = body.base.sha
    return _Details(
        pull_request=PullRequest(number=body.number, origin=_origin(payload, actor), base_commit=base),
        base_commit=base,
    )


def _origin(payload: _PullRequestEvent, actor: str) -> Origin:
    head = payload.pull_request.head.repo
    if head is None or head.full_name.casefold() != payload.repository.full_name.casefold():
        return Origin.FORK
    # GitHub withholds rights when Dependabot triggered the run, whoever opened the pull request.
    triggered = (actor, payload.sender.login if payload.sender else "")
    return Origin.DEPENDABOT if _DEPENDABOT in triggered else Origin.OWN


def _head(payload: _WorkflowRunEvent) -> Head | None:
    run = payload.workflow_run
    if run.event not in ("pull_request", "pull_request_target"):
        return None
    repository = "" if run.head_repository is None else run.head_repository.full_name
    return Head(
        commit=run.head_sha,
        branch=run.head_branch or "",
        repository=repository,
        from_fork=repository.casefold() != payload.repository.full_name.casefold(),
    )


def _payload(environment: Mapping[str, str], kind: type[Payload]) -> Payload:
    path = environment.get("GITHUB_EVENT_PATH", "")
    try:
        with Path(path).open("rb") as stream:
            return msgspec.json.decode(stream.read(_MAX_EVENT_BYTES), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        hint = "the runner writes it; in a test, write the event as JSON there"
        raise plan_error(f"GITHUB_EVENT_PATH holds no such event: {error}", hint) from error


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0
