"""One atomic commit on the Hub: the proven files, the manifest, and the model card's section.

The commit is made against the very state that was read (``parent_commit``). When somebody else was faster, or the
answer was lost, the state is read again: what is there already is not sent twice, so trying again is harmless.
Nothing is ever deleted.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from onnx_export_action.hub.answers import AgainError, told
from onnx_export_action.hub.credentials import token_for
from onnx_export_action.hub.model_card import CARD_NAME, card_with_section
from onnx_export_action.hub.proof import ProvenFile, git_blob_sha1, proven_files, publish_error
from onnx_export_action.hub.publication import Destination, Publication, Step
from onnx_export_action.hub.remote import Missing, Remote, existing_remote, read_remote
from onnx_export_action.vocabulary.results import TargetResult

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi

_ATTEMPTS = 6
_FIRST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 60.0
_SMALL_BYTES = 10 * 2**20  # read once and hashed as sent; larger files are hashed again after the upload


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
    return replace(publication, notes=(*notes, *publication.notes))


class _Publisher:
    def __init__(self, api: HfApi, files: Sequence[ProvenFile], result: TargetResult, destination: Destination) -> None:
        self._api = api
        self._files = files
        self._paths = [file.path for file in files]
        self._result = result
        self._destination = destination
        self._sent = False
        self._over_http = False

    def plan_only(self) -> Publication:
        """Say what would be done."""
        with told(self._destination.repo):
            remote = read_remote(self._api, self._destination, self._paths)
        steps, _ = self._steps(remote)
        names = {Missing.REPOSITORY: self._destination.repo, Missing.BRANCH: self._destination.revision}
        notes = [f"{remote.missing} {names[remote.missing]} would be made"] if remote.missing else []
        return Publication(self._destination, steps, notes, dry_run=True)

    def carry_out(self) -> Publication:
        """Do it, again where somebody else was faster or the network failed."""
        wait = _FIRST_WAIT_SECONDS
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with told(self._destination.repo):
                    return self._attempt()
            except AgainError as again:
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
        remote = existing_remote(self._api, destination, self._paths)
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
            publication = replace(publication, commit=info.oid, url=info.pr_url or info.commit_url)
        self._verify(publication.commit if not (destination.create_pr and additions) else None)
        self._tag(publication.commit)
        return publication

    def _steps(self, remote: Remote) -> tuple[list[Step], list[CommitOperationAdd]]:
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

    def _new_card(self, remote: Remote) -> str:
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
            raise AgainError(f"the upload through Xet failed: {str(error).strip()[:300]}", wait=0) from error
        finally:
            constants.HF_HUB_DISABLE_XET = disabled

    def _verify(self, commit: str | None) -> None:
        """Read back that every file is there: a repository's .gitignore can keep the Hub from taking one."""
        if commit is None:
            return
        found = {one.path for one in self._api.get_paths_info(self._destination.repo, self._paths, revision=commit)}
        lost = sorted(set(self._paths) - found)
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
