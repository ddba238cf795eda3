"""One atomic commit on the Hub: the proven files, the manifest, and the model card's section.

The commit is made against the very state that was read (``parent_commit``). When somebody else was faster, or the
answer was lost, the state is read again: what is there already is not sent twice, so trying again is harmless.
Nothing is ever deleted.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from onnx_export_action.hub.credentials import is_of_the_network, token_for
from onnx_export_action.hub.model_card import CARD_NAME, card_with_section
from onnx_export_action.hub.proof import ProvenFile, git_blob_sha1, proven_files, publish_error
from onnx_export_action.vocabulary.results import TargetResult

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi, RepoFile
    from huggingface_hub.errors import HfHubHTTPError

_ATTEMPTS = 6
_FIRST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 60.0
_SMALL_BYTES = 10 * 2**20  # read once and hashed as sent; larger files are hashed again after the upload
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


@dataclass(frozen=True)
class Destination:
    """Where to publish. ``revision`` is a branch, made where it is missing; ``private`` is for a new repository."""

    repo: str
    revision: str = "main"
    create_pr: bool = False
    tag: str | None = None
    private: bool = False


@dataclass(frozen=True)
class Step:
    """One file of the commit: ``action`` is add, update or keep."""

    action: str
    path: str
    size: int


@dataclass
class Publication:
    """What was done, or (``dry_run``) would be. ``commit`` is empty where nothing had to change."""

    destination: Destination
    steps: list[Step]
    notes: list[str] = field(default_factory=list)
    dry_run: bool = False
    commit: str = ""
    url: str = ""

    def lines(self) -> Iterator[str]:
        """What to tell: a line a file, then where it is."""
        for step in self.steps:
            yield f"{step.action:<6}  {step.path}  {step.size} bytes"
        yield from self.notes
        place = f"{self.destination.repo} ({self.destination.revision})"
        if self.dry_run:
            yield f"would publish to {place}"
        elif self.url:
            yield f"published to {place}: {self.url}"
        else:
            yield f"{place} has all of it already: {self.commit}"


@dataclass(frozen=True)
class _Remote:
    """What the branch holds: ``parent`` is its newest commit, None where repository or branch are still to be made."""

    parent: str | None
    hashes: dict[str, str]
    card: str | None = None
    missing: str = ""


class _AgainError(Exception):
    """The attempt came to nothing and may be made again, after ``wait`` seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def publish(
    folder: Path, result: TargetResult, destination: Destination, *, token: str | None = None, dry_run: bool = False
) -> Publication:
    """Publish the artifact ``folder`` that ``result`` proves.

    Raises:
        ExportError: something is not proven, or the Hub refused or failed; the branch is then as it was, or complete.
    """
    from huggingface_hub import HfApi

    files, notes = proven_files(folder, result)
    api = HfApi(token=token_for(destination.repo, token), library_name="onnx-export-action")
    publisher = _Publisher(api, files, result, destination)
    publication = publisher.plan_only() if dry_run else publisher.carry_out()
    publication.notes = notes + publication.notes
    return publication


class _Publisher:
    def __init__(self, api: HfApi, files: Sequence[ProvenFile], result: TargetResult, destination: Destination) -> None:
        self._api = api
        self._files = files
        self._result = result
        self._destination = destination
        self._sent = False
        self._over_http = False

    def plan_only(self) -> Publication:
        """Say what would be done."""
        with _told(self._destination):
            remote = self._remote()
        steps, _ = self._steps(remote)
        notes = [f"{remote.missing} would be made"] if remote.missing else []
        return Publication(self._destination, steps, notes, dry_run=True)

    def carry_out(self) -> Publication:
        """Do it, again where somebody else was faster or the network failed."""
        wait = _FIRST_WAIT_SECONDS
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with _told(self._destination):
                    return self._attempt()
            except _AgainError as again:
                if self._sent and self._destination.create_pr:  # a second attempt might open a second one
                    raise publish_error(
                        f"{self._destination.repo} did not confirm the pull request: {again}",
                        "look there whether it was opened before you run it again",
                    ) from again
                if attempt == _ATTEMPTS:
                    raise publish_error(
                        f"{self._destination.repo} was not published to after {attempt} attempts: {again}",
                        "run it again: what arrived is not sent twice",
                    ) from again
                if again.wait != 0:
                    time.sleep(min(again.wait or wait, _LONGEST_WAIT_SECONDS))
                    wait *= 2
        raise AssertionError

    def _attempt(self) -> Publication:
        destination = self._destination
        remote = self._existing()
        steps, additions = self._steps(remote)
        publication = Publication(destination, steps, commit=remote.parent or "")
        if additions:
            self._upload(additions)
            self._sent = True
            info = self._api.create_commit(
                destination.repo,
                additions,
                commit_message=f"Publish the ONNX export of {self._result.target}",
                revision=destination.revision,
                create_pr=destination.create_pr,
                parent_commit=remote.parent,
            )
            publication.commit, publication.url = info.oid, info.pr_url or info.commit_url
        self._verify(publication.commit if not (destination.create_pr and additions) else None)
        self._tag(publication.commit)
        return publication

    def _existing(self) -> _Remote:
        """The state of the branch; repository and branch are made where they are missing."""
        remote = self._remote()
        if remote.missing:
            if remote.missing.startswith("repository"):
                self._api.create_repo(self._destination.repo, private=self._destination.private, exist_ok=True)
            if self._destination.revision != "main":
                self._api.create_branch(self._destination.repo, branch=self._destination.revision, exist_ok=True)
            remote = self._remote()
        return remote

    def _remote(self) -> _Remote:
        from huggingface_hub import RepoFile
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

        repo, revision = self._destination.repo, self._destination.revision
        try:
            parent = self._api.model_info(repo, revision=revision).sha
        except GatedRepoError:
            raise
        except RepositoryNotFoundError:
            return _Remote(None, {}, missing=f"repository {repo}")
        except RevisionNotFoundError:
            return _Remote(None, {}, missing=f"branch {revision}")
        found = self._api.get_paths_info(repo, [*(file.path for file in self._files), CARD_NAME], revision=parent)
        hashes = {one.path: _hash_of(one) for one in found if isinstance(one, RepoFile)}
        return _Remote(parent, hashes, self._card(parent) if CARD_NAME in hashes else None)

    def _card(self, parent: str | None) -> str:
        with tempfile.TemporaryDirectory(prefix="onnx-export-card-") as folder:
            path = self._api.hf_hub_download(self._destination.repo, CARD_NAME, revision=parent, local_dir=folder)
            return Path(path).read_text(encoding="utf-8", errors="surrogateescape")

    def _steps(self, remote: _Remote) -> tuple[list[Step], list[CommitOperationAdd]]:
        from huggingface_hub import CommitOperationAdd

        steps, additions = [], []
        for file in self._files:
            small = file.local.read_bytes() if file.size <= _SMALL_BYTES else None
            there = remote.hashes.get(file.path)
            same = there is not None and there in (file.sha256, git_blob_sha1(small) if small is not None else None)
            same |= there is not None and self._is_its_own(file)
            steps.append(Step("keep" if same else "update" if there else "add", file.path, file.size))
            if not same:
                source = small if small is not None else str(file.local)
                additions.append(CommitOperationAdd(path_in_repo=file.path, path_or_fileobj=source))
        card = self._new_card(remote)
        if card != remote.card:
            content = card.encode(errors="surrogateescape")
            steps.append(Step("add" if remote.card is None else "update", CARD_NAME, len(content)))
            additions.append(CommitOperationAdd(path_in_repo=CARD_NAME, path_or_fileobj=content))
        return steps, additions

    def _is_its_own(self, file: ProvenFile) -> bool:
        """Whether the file is a copy of the model's own: its repository may have a newer one.

        One that is missing there was made by the export, as transformers.js needs a tokenizer.json.
        """
        is_ours = file.path.startswith("onnx/") or file.path == "manifest.json"
        return self._result.model.source == self._destination.repo and not is_ours

    def _new_card(self, remote: _Remote) -> str:
        published = {file.path for file in self._files}
        files = [file for file in self._result.files if file.path in published]
        return card_with_section(remote.card, self._result, files, self._destination.repo)

    def _upload(self, additions: list[CommitOperationAdd]) -> None:
        """Send the large files, and make sure that what was sent is what was proven."""
        destination = self._destination
        with self._transport():
            self._api.preupload_lfs_files(
                destination.repo,
                additions,
                revision=destination.revision,
                create_pr=destination.create_pr,
                free_memory=False,
            )
        proven = {file.path: file.sha256 for file in self._files}
        for addition in additions:
            wanted = proven.get(addition.path_in_repo)
            if wanted is not None and addition.upload_info.sha256.hex() != wanted:
                raise publish_error(f"{addition.path_in_repo} was changed while it was published", "export it again")

    @contextlib.contextmanager
    def _transport(self) -> Iterator[None]:
        """Xet, the client's own choice; plain HTTP (LFS) from the first failure on.

        The client does not fall back by itself where a Hub of one's own or a proxy has no Xet, and what its Rust
        library raises (OSError, RuntimeError) hides the status; over HTTP the Hub says what is wrong.
        """
        from huggingface_hub import constants
        from huggingface_hub.errors import HfHubHTTPError

        disabled = constants.HF_HUB_DISABLE_XET
        constants.HF_HUB_DISABLE_XET = disabled or self._over_http
        try:
            yield
        except HfHubHTTPError:
            raise
        except (OSError, RuntimeError, ValueError) as error:
            if constants.HF_HUB_DISABLE_XET:
                raise
            self._over_http = True
            raise _AgainError(f"the upload through Xet failed: {str(error).strip()[:300]}", wait=0) from error
        finally:
            constants.HF_HUB_DISABLE_XET = disabled

    def _verify(self, commit: str | None) -> None:
        """Read back that every file is there: a repository's .gitignore can keep the Hub from taking one."""
        if commit is None:
            return
        paths = [file.path for file in self._files]
        found = {one.path for one in self._api.get_paths_info(self._destination.repo, paths, revision=commit)}
        lost = sorted(set(paths) - found)
        if lost:
            raise publish_error(f"the commit {commit} lacks {', '.join(lost)}", "does a .gitignore there exclude them?")

    def _tag(self, commit: str) -> None:
        tag = self._destination.tag
        if tag is None:
            return
        there = {one.name: one.target_commit for one in self._api.list_repo_refs(self._destination.repo).tags}
        if there.get(tag, commit) != commit:
            raise publish_error(
                f"the tag {tag} of {self._destination.repo} is already at {there[tag][:12]}",
                "the files are published; choose another tag, or remove that one",
            )
        if tag not in there:
            self._api.create_tag(self._destination.repo, tag=tag, revision=commit)


def _hash_of(file: RepoFile) -> str:
    return file.lfs.sha256 if file.lfs else file.blob_id


@contextlib.contextmanager
def _told(destination: Destination) -> Iterator[None]:
    """What the Hub or the network answered, as words for the operator or as a reason to try again."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except HfHubHTTPError as error:
        raise _explained(error, destination.repo) from error
    except (RuntimeError, ValueError) as error:  # the client's own words around a failed upload of a large file
        cause = error.__cause__
        if isinstance(cause, HfHubHTTPError):
            raise _explained(cause, destination.repo) from error
        raise _AgainError(f"an upload failed ({type(cause or error).__name__})") from error
    except OSError as error:
        raise publish_error(f"{error.filename or destination.repo}: {error.strerror or error}") from error
    except Exception as error:
        if not is_of_the_network(error):
            raise
        raise _AgainError(f"the Hub did not answer ({type(error).__name__})") from error


def _explained(error: HfHubHTTPError, repo: str) -> Exception:
    status = error.response.status_code if error.response is not None else 0
    said = f"the Hub answered {status}: {(error.server_message or str(error)).strip().splitlines()[0][:300]}"
    if status in (_CONFLICT, _MOVED):
        return _AgainError(f"{repo} was changed meanwhile")
    if status == _TOO_MANY or status >= 500:  # noqa: PLR2004 - the server's own errors
        asked = error.response.headers.get("Retry-After", "") if error.response is not None else ""
        return _AgainError(said, float(asked) if asked.isdecimal() else None)
    hint = {
        _UNAUTHORIZED: "the token is wrong or has expired",
        _FORBIDDEN: f"the token may not write to {repo}: give it write access to that repository",
        _NOT_FOUND: f"there is no {repo}, or the token may not see it",
        _PAYMENT: "the account's storage is used up",
        _TOO_LARGE: "the account's storage is used up, or a file is too large",
    }.get(status)
    return publish_error(f"{repo} was not published to: {said}", hint)
