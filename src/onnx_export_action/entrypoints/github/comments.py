"""The sticky comment: one per key on a pull request, updated in place.

A comment is ours when its first line is our marker with our key, and its author is the account of our token: anyone
can copy the marker. Several writers at once end in one comment: each looks again after creating, the oldest stays.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from github import GithubException, UnknownObjectException
from github.IssueComment import IssueComment

from onnx_export_action.entrypoints.github.api import GitHubError, bounded, github_client, told
from onnx_export_action.entrypoints.github.context import Head

COMMENT_LIMIT = 60_000  # GitHub takes 65,536 characters
_MAX_PULL_REQUESTS = 300
_MAX_COMMENTS = 10_000
_MAX_MARKER = 500
_MARKER_START = "<!-- onnx-export-action "
_MARKER_END = " -->"
_WORKFLOW_ACCOUNT = "github-actions[bot]"
_UNPROCESSABLE = 422


class Change(enum.StrEnum):
    """What was done about the comment."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    NEWER = "newer"  # a later run has written it
    NONE = "none"  # there is none, and none was wanted


@dataclass(frozen=True)
class Written:
    """What was done, and the comment's address where there is one."""

    change: Change
    url: str = ""


class Marker(msgspec.Struct, frozen=True):
    """The hidden first line: ``digest`` is of what the comment says, without times; ``run``, ``attempt`` order it."""

    key: str
    digest: str
    run: int = 0
    attempt: int = 0

    def __str__(self) -> str:
        return f"{_MARKER_START}{msgspec.json.encode(self).decode()}{_MARKER_END}"


def read_marker(body: str | None) -> Marker | None:
    """The marker of a comment, None when its first line is none."""
    line = (body or "")[:_MAX_MARKER].split("\n", 1)[0].rstrip("\r")
    if not line.startswith(_MARKER_START) or not line.endswith(_MARKER_END):
        return None
    try:
        return msgspec.json.decode(line.removeprefix(_MARKER_START).removesuffix(_MARKER_END), type=Marker)
    except (msgspec.DecodeError, RecursionError):
        return None


class PullRequests:
    """The pull requests of one repository, over GitHub's API.

    Every method raises :class:`GitHubError`.
    """

    def __init__(self, *, api_url: str, repository: str, token: str, ca_bundle: Path | None = None) -> None:
        with told():
            self._github = github_client(api_url=api_url, token=token, ca_bundle=ca_bundle)
            self._repository = self._github.get_repo(repository)

    def find(self, head: Head) -> int:
        """Number of the one open pull request whose newest commit is ``head``, from that very repository."""
        if not head.repository or not head.branch:
            raise GitHubError("the branch of the pull request was deleted")
        wanted = head.repository.casefold()
        with told():
            candidates = self._repository.get_pulls(state="open", head=f"{head.repository.split('/')[0]}:{head.branch}")
            numbers = [
                pull.number
                for pull in islice(candidates, _MAX_PULL_REQUESTS)
                if pull.head.sha == head.commit and pull.head.repo and pull.head.repo.full_name.casefold() == wanted
            ]
        if len(numbers) > 1:
            listed = ", ".join(f"{number}" for number in sorted(numbers))
            raise GitHubError(f"the commit {head.commit} is the newest of several pull requests: {listed}")
        if not numbers:
            message = f"no open pull request has the commit {head.commit} as its newest"
            raise GitHubError(message, "it was closed, or has newer commits, whose own run reports")
        return numbers[0]

    def write(self, number: int, marker: Marker, text: Callable[[int], str], *, create: bool) -> Written:
        """Make the one comment of ``marker.key`` say ``text``, which is given the most characters it may have.

        Without ``create`` only a comment that is there is changed.
        """
        with told():
            mine = self._mine(number, marker.key)
            if mine:
                return self._keep_true(mine, marker, text)
            if not create:
                return Written(Change.NONE)
            issue = self._repository.get_issue(number)
            created = _shortened(lambda limit: issue.create_comment(_body(marker, text, limit)))
            mine = self._mine(number, marker.key)
            if not mine and not created.html_url:
                raise GitHubError("GitHub said that it took the comment, and shows none")
            if not mine or mine[0].id == created.id:
                self._remove(mine[1:])
                return Written(Change.CREATED, created.html_url)
            return self._keep_true(mine, marker, text)

    def _mine(self, number: int, key: str) -> list[IssueComment]:
        """Our comments of that key, the oldest first; more than one after writers that ran at the same time."""
        author = self._account
        found = [
            comment
            for comment in bounded(self._repository.get_issue(number).get_comments(), _MAX_COMMENTS, "comments")
            if (marker := read_marker(comment.body)) is not None and marker.key == key and _is_by(comment, author)
        ]
        return sorted(found, key=lambda comment: comment.id)

    @property
    def _account(self) -> str:
        """The account that the token writes as. A workflow's own token may not ask REST for it, GraphQL tells."""
        if not hasattr(self, "_login"):
            try:
                _, answer = self._github.requester.graphql_query("query { viewer { login } }", {})
                self._login = str(answer["data"]["viewer"]["login"])
            except (GithubException, AssertionError, KeyError, TypeError, ValueError):
                self._login = _WORKFLOW_ACCOUNT
        return self._login

    def _keep_true(self, mine: list[IssueComment], marker: Marker, text: Callable[[int], str]) -> Written:
        first = mine[0]
        self._remove(mine[1:])
        there = read_marker(first.body)
        if there is not None and (there.run, there.attempt) > (marker.run, marker.attempt):
            return Written(Change.NEWER, first.html_url)
        if there is not None and there.digest == marker.digest:
            return Written(Change.UNCHANGED, first.html_url)
        _shortened(lambda limit: first.edit(_body(marker, text, limit)))
        return Written(Change.UPDATED, first.html_url)

    @staticmethod
    def _remove(comments: list[IssueComment]) -> None:
        for comment in comments:
            with contextlib.suppress(UnknownObjectException):  # another writer removed it
                comment.delete()


def _is_by(comment: IssueComment, author: str) -> bool:
    user = comment.user
    if user is None:
        return False
    # GraphQL names an app's account without the suffix on some servers.
    return user.login == author or (user.type == "Bot" and user.login == f"{author}[bot]")


def _body(marker: Marker, text: Callable[[int], str], limit: int) -> str:
    first = f"{marker}\n"
    return first + text(limit - len(first))


def _shortened(send: Callable[[int], Any]) -> Any:
    """Send a body of the usual limit; of half of it where the server says that it cannot take that."""
    try:
        return send(COMMENT_LIMIT)
    except GithubException as error:
        if error.status != _UNPROCESSABLE:
            raise
        return send(COMMENT_LIMIT // 2)
