"""The token to publish with: a trusted publisher's first, a given one second, read at the last moment."""

from __future__ import annotations

import os

from onnx_export_action.hub.proof import publish_error

_ADVICE = (
    "make the workflow a trusted publisher of the repository (`permissions: id-token: write`), "
    "or give a token with write access"
)


def token_for(repo: str, given: str | None = None) -> str:
    """A token that may write to ``repo``; ``given`` is the operator's own, else that of the environment or a login.

    In a workflow with ``id-token: write`` the Hub exchanges the workflow's identity for a short-lived token:
    https://huggingface.co/docs/hub/trusted-publishers. A token is the second choice there.

    Raises:
        ExportError: there is none, or the exchange was refused and there is no other.
    """
    from huggingface_hub import get_token
    from huggingface_hub.errors import HfHubHTTPError, OIDCError

    refused = None
    if os.environ.get("ACTIONS_ID_TOKEN_REQUEST_URL"):
        os.environ["HF_OIDC_RESOURCE"] = repo  # what the client's own exchange is asked for
        try:
            return str(get_token())
        except (OIDCError, HfHubHTTPError, KeyError) as error:
            refused = type(error).__name__
        except Exception as error:
            if not is_of_the_network(error):
                raise
            refused = type(error).__name__
    os.environ.pop("HF_OIDC_RESOURCE", None)
    token = given or get_token()
    if token is None:
        said = f"there is no token to publish to {repo} with"
        raise publish_error(said if refused is None else f"{said}: the Hub refused the workflow ({refused})", _ADVICE)
    return token


def is_of_the_network(error: Exception) -> bool:
    """Errors of the client's transport (httpx, or httpx2 since huggingface_hub 2), which it lets through."""
    return any(base.__module__.partition(".")[0] in ("httpx", "httpx2") for base in type(error).__mro__)
