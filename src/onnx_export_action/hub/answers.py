"""What the Hub or the network answered, as words for the operator or as a reason to try again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from onnx_export_action.hub.credentials import is_of_the_network
from onnx_export_action.hub.proof import publish_error

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

_UNAUTHORIZED, _PAYMENT, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _MOVED, _TOO_LARGE, _TOO_MANY = (
    401,
    402,
    403,
    404,
    409,
    412,
    413,
    429,
)


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
    if status in (_CONFLICT, _MOVED):
        return AgainError(f"{repo} was changed meanwhile")
    if status == _TOO_MANY or status >= 500:  # noqa: PLR2004 - the server's own errors
        asked = error.response.headers.get("Retry-After", "") if error.response is not None else ""
        return AgainError(said, float(asked) if asked.isdecimal() else None)
    hint = {
        _UNAUTHORIZED: "the token is wrong or has expired",
        _FORBIDDEN: f"the token may not write to {repo}: give it write access to that repository",
        _NOT_FOUND: f"there is no {repo}, or the token may not see it",
        _PAYMENT: "the account's storage is used up",
        _TOO_LARGE: "the account's storage is used up, or a file is too large",
    }.get(status)
    return publish_error(f"{repo} was not published to: {said}", hint)
