"""Where a model comes from: a local folder or the Hub. The one place of ``export`` that knows huggingface_hub.

Imports no torch: finding and checking a model's files costs milliseconds.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx_export_action.loading.companions import COMPANION_NAMES
from onnx_export_action.project.places import lies_in_a_folder, missing_folder_hint
from onnx_export_action.project.weight_names import EXPLICIT_KEY, weights_and_parts
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.errors import load_error, plan_error
from onnx_export_action.vocabulary.names.file_names import CONFIG_NAME

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")
_TOO_MANY_REQUESTS = 429
_HUB_TIMEOUT_SECONDS = 20.0
_RETRY_SECONDS = (1.0, 2.0, 4.0)
_LONGEST_WAIT_SECONDS = 60


@dataclass(frozen=True)
class ModelFolder:
    """A model's files on disk. ``revision`` is the commit for a model from the Hub, None for a local folder."""

    source: str
    path: Path
    revision: str | None = None


def locate_model(source: str, revision: str | None = None, *, weights: Weights = Weights.LOAD) -> ModelFolder:
    """Find ``source`` on disk, or fetch it from the Hub into its cache.

    Raises:
        ExportError: neither a folder nor a Hub id (plan), or the Hub did not give it (load).
    """
    return _local_folder(source, revision) or _fetch(source, revision, weights)


def _local_folder(source: str, revision: str | None) -> ModelFolder | None:
    path = Path(source)
    if path.is_dir():
        return ModelFolder(source, path)
    if path.exists():
        raise plan_error(f"{source} is a file, not a model folder", "give the folder that holds config.json")
    if _looks_like_path(source) or not _HUB_ID.fullmatch(source):
        raise plan_error(f"there is no folder {source}", "give a folder that holds config.json, or a Hub id")
    if revision is None and lies_in_a_folder(source, Path()):
        raise plan_error(f"there is no folder {source}", missing_folder_hint(source, Path()))
    return None


def _looks_like_path(source: str) -> bool:
    return source.startswith((".", "/", "~")) or (os.sep != "/" and os.sep in source)


def _fetch(source: str, revision: str | None, weights: Weights) -> ModelFolder:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    named = f"{source} at {revision}" if revision else source
    try:
        found = _names_on_hub(source, revision)
        names = _names_in_cache(source, revision) if found is None else found
        patterns = [*COMPANION_NAMES, "*/config.json", *(weights_and_parts(names) if weights is Weights.LOAD else ())]
        folder = snapshot_download(source, revision=revision, allow_patterns=patterns, local_files_only=found is None)
        config = _plain_config(Path(folder))
        if weights is Weights.LOAD and EXPLICIT_KEY in config:  # known only now
            patterns, commit = weights_and_parts(names, config), _commit_of(Path(folder)) or revision
            snapshot_download(source, revision=commit, allow_patterns=patterns, local_files_only=found is None)
    except GatedRepoError as error:
        raise load_error(
            f"{named} is gated on the Hub", "accept its terms and give a token that may read it"
        ) from error
    except RevisionNotFoundError as error:
        raise load_error(f"{source} has no revision {revision} on the Hub", "check the `revision`") from error
    except RepositoryNotFoundError as error:
        raise load_error(
            f"there is no folder {source} and no such model on the Hub ({constants.ENDPOINT})",
            "check the spelling; a private model needs a token that may read it",
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise load_error(
            f"{named} is not in the local cache and the Hub could not be reached ({constants.ENDPOINT})",
            "check the network and HF_HUB_OFFLINE, or give a local folder",
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        hint = "wait, or give a token: shared runners are rate-limited" if status == _TOO_MANY_REQUESTS else None
        raise load_error(f"the Hub answered {status} for {named} ({constants.ENDPOINT})", hint) from error
    except (OSError, ValueError, _network_error()) as error:
        raise load_error(f"{named} could not be fetched from {constants.ENDPOINT}: {_first_line(error)}") from error
    path = Path(folder)
    return ModelFolder(source, path, _commit_of(path))


def _names_on_hub(source: str, revision: str | None) -> list[str] | None:
    """Names of the repository's files; None when the Hub cannot be reached and the cache must do.

    A Hub that is busy or out of order is asked again, four times in all.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    for wait in (*_RETRY_SECONDS, None):
        try:
            info = HfApi().model_info(source, revision=revision, timeout=_HUB_TIMEOUT_SECONDS)
        except HfHubHTTPError as error:
            status = error.response.status_code
            if wait is None or (status != _TOO_MANY_REQUESTS and status < 500):  # noqa: PLR2004 - the server's own
                raise
            time.sleep(_seconds_asked_for(error.response.headers) or wait)
        except (OfflineModeIsEnabled, _network_error()):
            break
        else:
            return [sibling.rfilename for sibling in info.siblings or []]
    return None


def _names_in_cache(source: str, revision: str | None) -> list[str]:
    """Names of the files that an earlier download left; the Hub's whole list would have weights never asked for."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(source, CONFIG_NAME, revision=revision)
    return [path.name for path in Path(config).parent.iterdir()] if isinstance(config, str) else []


def _seconds_asked_for(headers: Mapping[str, str]) -> float | None:
    """How long a rate-limited client should wait; None when the answer does not say, or asks for over a minute.

    ``Retry-After`` as in RFC 9110, ``RateLimit`` as the Hub sends it: draft-ietf-httpapi-ratelimit-headers-09.
    """
    said = re.fullmatch(r"(\d+)", headers.get("retry-after", "")) or re.search(
        r"\bt=(\d+)", headers.get("ratelimit", "")
    )
    seconds = int(said[1]) if said else 0
    return float(seconds) if 0 < seconds <= _LONGEST_WAIT_SECONDS else None


def _network_error() -> type[Exception]:
    """Base class of what the Hub's client raises without an answer: from httpx, or httpx2 since huggingface_hub 2."""
    from huggingface_hub.errors import HfHubHTTPError

    return next(base for base in HfHubHTTPError.__mro__ if base.__name__ == "HTTPError")


def _commit_of(snapshot: Path) -> str | None:
    # The cache keeps each commit in snapshots/<commit>.
    return snapshot.name if re.fullmatch(r"[0-9a-f]{40}", snapshot.name) else None


def _plain_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
