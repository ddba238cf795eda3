"""What a repository on the Hub holds before something is published to it."""

from __future__ import annotations

import enum
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from onnx_export_action.hub.model_card import CARD_NAME
from onnx_export_action.hub.publication import Destination

if TYPE_CHECKING:
    from huggingface_hub import HfApi, RepoFile


class Missing(enum.StrEnum):
    """What is to be made before anything can be published."""

    REPOSITORY = "repository"
    BRANCH = "branch"


@dataclass(frozen=True)
class Remote:
    """What the branch holds: ``parent`` is its newest commit, None where something is ``missing``.

    ``hashes`` are of the files that were asked for, by path: SHA-256 of large files, Git's own hash of small ones.
    """

    parent: str | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)
    card: str | None = None
    missing: Missing | None = None


def read_remote(api: HfApi, destination: Destination, paths: Sequence[str]) -> Remote:
    """What the branch holds of the files ``paths``, and its model card."""
    from huggingface_hub import RepoFile
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        parent = api.model_info(destination.repo, revision=destination.revision).sha
    except GatedRepoError:
        raise
    except RepositoryNotFoundError:
        return Remote(missing=Missing.REPOSITORY)
    except RevisionNotFoundError:
        return Remote(missing=Missing.BRANCH)
    found = api.get_paths_info(destination.repo, [*paths, CARD_NAME], revision=parent)
    hashes = {one.path: _hash_of(one) for one in found if isinstance(one, RepoFile)}
    return Remote(parent, hashes, _card(api, destination, parent) if CARD_NAME in hashes else None)


def existing_remote(api: HfApi, destination: Destination, paths: Sequence[str]) -> Remote:
    """The same; repository and branch are made where they are missing."""
    remote = read_remote(api, destination, paths)
    if remote.missing is None:
        return remote
    if remote.missing is Missing.REPOSITORY:
        api.create_repo(destination.repo, private=destination.private, exist_ok=True)
    if destination.revision != "main":
        api.create_branch(destination.repo, branch=destination.revision, exist_ok=True)
    return read_remote(api, destination, paths)


def _card(api: HfApi, destination: Destination, parent: str | None) -> str:
    with tempfile.TemporaryDirectory(prefix="onnx-export-card-") as folder:
        path = api.hf_hub_download(destination.repo, CARD_NAME, revision=parent, local_dir=folder)
        return Path(path).read_text(encoding="utf-8", errors="surrogateescape")


def _hash_of(file: RepoFile) -> str:
    return file.lfs.sha256 if file.lfs else file.blob_id
