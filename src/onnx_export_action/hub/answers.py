"""What the Hub or the network answered, as words for the operator or as a reason to try again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING

from onnx_export_action.hub.credentials import is_of_the_network
from onnx_export_action.hub.proof import publish_error

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError


class AgainError(Exception):
    """The attempt came to nothing and may be made again, after ``wait`` seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@contextlib.contextmanager
def told(repo: str) -> Iterator[None]:
    """Around calls about ``repo``.

    Raises:
        ExportError: the Hub refused.
        AgainError: nothing came of it, and it may be tried again.
    """
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except HfHubHTTPError as error:
        raise _explained(error, repo) from error
    except (RuntimeError, ValueError) as error:  # the client's own words around a failed upload of a large file
        cause = error.__cause__
        if isinstance(cause, HfHubHTTPError):
            raise _explained(cause, repo) from error
        raise AgainError(f"an upload failed ({type(cause or error).__name__})") from error
    except OSError as error:
        raise publish_error(f"{error.filename or repo}: {error.strerror or error}") from error
    except Exception as error:
        if not is_of_the_network(error):
            raise
        raise AgainError(f"the Hub did not answer ({type(error).__name__})") from error


def _explained(error: HfHubHTTPError, repo: str) -> Exception:
    status = error.response.status_code if error.response is not None else 0
    said = f"the Hub answered {status}: {(error.server_message or str(error)).strip().splitlines()[0][:300]}"
    if status in (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED):
        return AgainError(f"{repo} was changed meanwhile")
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        asked = error.response.headers.get("Retry-After", "") if error.response is not None else ""
        return AgainError(said, float(asked) if asked.isdecimal() else None)
    hints: dict[int, str] = {
        HTTPStatus.UNAUTHORIZED: "the token is wrong or has expired",
        HTTPStatus.FORBIDDEN: f"the token may not write to {repo}: give it write access to that repository",
        HTTPStatus.NOT_FOUND: f"there is no {repo}, or the token may not see it",
        HTTPStatus.PAYMENT_REQUIRED: "the account's storage is used up",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the account's storage is used up, or a file is too large",
    }
    return publish_error(f"{repo} was not published to: {said}", hints.get(status))
