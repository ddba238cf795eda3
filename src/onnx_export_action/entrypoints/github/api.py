"""GitHub's API over PyGithub: the client, what is tried again, and errors in words. Its users know PyGithub too.

5xx, rate limits and lost connections are tried again with growing waits, for two minutes in all.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import requests
from github import Auth, Github, GithubException, GithubRetry
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import MaxRetryError, ResponseError, SSLError
from urllib3.response import HTTPResponse

from onnx_export_action.vocabulary.supported.version import VERSION

_REQUEST_SECONDS = 15
_TOTAL_SECONDS = 120.0
_ATTEMPTS = 6
_LONGEST_REASON = 200

Item = TypeVar("Item")


class GitHubError(Exception):
    """GitHub did not do what was asked; ``forbidden`` when the token lacks the right to."""

    def __init__(self, message: str, hint: str | None = None, *, forbidden: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.forbidden = forbidden


def github_client(*, api_url: str, token: str, ca_bundle: Path | None = None) -> Github:
    """A client for one run of the action; it asks for nothing by itself."""
    return Github(
        auth=Auth.Token(token),
        base_url=api_url.rstrip("/"),
        timeout=_REQUEST_SECONDS,
        per_page=100,
        user_agent=f"onnx-export-action/{VERSION}",
        verify=True if ca_bundle is None else str(ca_bundle),
        retry=_BoundedRetry(deadline=time.monotonic() + _TOTAL_SECONDS),
        lazy=True,
    )


@contextlib.contextmanager
def authorities(certificate: str | None) -> Iterator[Path | None]:
    """A file with the public certificate authorities and the operator's own; None where the usual ones do."""
    if certificate is None:
        yield None
        return
    import certifi

    with tempfile.TemporaryDirectory(prefix="onnx-export-ca-") as folder:
        bundle = Path(folder) / "authorities.pem"
        bundle.write_text(f"{certifi.contents()}\n{certificate}\n", encoding="utf-8")
        yield bundle


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Say in words for the workflow's author what GitHub or the network answered.

    PyGithub trusts answers: of one that is not what it expects it raises whatever Python does (AssertionError of a link
    to another host, KeyError, TypeError, ValueError). None of that is worth a verdict.
    """
    try:
        yield
    except GitHubError:
        raise
    except GithubException as error:
        raise _explained(error) from error
    except requests.RequestException as error:
        raise GitHubError(f"GitHub did not answer: {type(error).__name__}", "run the job again") from error
    except Exception as error:
        message = f"GitHub's answer was not understood ({type(error).__name__}: {str(error)[:_LONGEST_REASON]})"
        raise GitHubError(message, "is `GITHUB_API_URL` that of GitHub, and not of something in between?") from error


def bounded(items: Iterable[Item], most: int, what: str) -> Iterator[Item]:
    """The items of a list that comes page by page; a server could send pages without end.

    Raises:
        GitHubError: there are more than ``most``, or they take more than two minutes.
    """
    deadline = time.monotonic() + _TOTAL_SECONDS
    for number, item in enumerate(items):
        if number >= most or time.monotonic() > deadline:
            raise GitHubError(f"GitHub lists more {what} than are read: {number} so far")
        yield item


def _explained(error: GithubException) -> GitHubError:
    said = error.data.get("message") if isinstance(error.data, dict) else None
    message = f"GitHub answered {error.status}: {said or error.message or 'no reason given'}"
    if "rate limit" in message.lower() or error.status == HTTPStatus.TOO_MANY_REQUESTS:
        return GitHubError(message, "too many requests were made with this token: run the job again later")
    if error.status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
        hint = "the job needs `permissions: pull-requests: write`; runs for forks and Dependabot never have it"
        return GitHubError(message, hint, forbidden=True)
    if error.status == HTTPStatus.UNAUTHORIZED:
        return GitHubError(message, "the token is wrong or has expired", forbidden=True)
    return GitHubError(message)


class _BoundedRetry(GithubRetry):
    """PyGithub's rules of what to try again, for every method that we use, and never beyond ``deadline``.

    A POST whose connection was lost may have arrived: :meth:`PullRequests.write` removes what came twice.
    """

    def __init__(self, *, deadline: float, **options: Any) -> None:
        self.deadline = deadline
        options.setdefault("total", _ATTEMPTS)
        options.setdefault("backoff_factor", 0.5)
        options["status_forcelist"] = [HTTPStatus.TOO_MANY_REQUESTS, *range(500, 600)]
        options["allowed_methods"] = ("GET", "POST", "PATCH", "DELETE")
        super().__init__(**options)

    def new(self, **changes: Any) -> _BoundedRetry:
        return super().new(deadline=self.deadline, **changes)

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: HTTPResponse | None = None,  # type: ignore[override]  # as GithubRetry declares it
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        """The state for the next attempt; gives up when its wait would end after the deadline.

        A certificate that is not trusted will not be trusted a second later either.
        """
        if isinstance(error, SSLError):
            raise MaxRetryError(_pool, url, error)  # type: ignore[arg-type]  # None where urllib3 gives none
        retry = cast(Self, super().increment(method, url, response, error, _pool, _stacktrace))
        asked = None if response is None else retry.get_retry_after(response)
        if time.monotonic() + (asked or retry.get_backoff_time()) > self.deadline:
            reason = error or ResponseError("no time is left to try again")
            raise MaxRetryError(_pool, url, reason)  # type: ignore[arg-type]  # None where urllib3 gives none
        return retry
