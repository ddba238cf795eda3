"""The git repository of a file: what a change touches, compared without any filter.

Git itself compares through filters, of which Git LFS is one: where that program is missing, a comparison would fail.
Here a file of Git LFS is held against the pointer that git keeps of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from onnx_export_action.isolation.git import Git
from onnx_export_action.project.lfs import is_content_of, parse_pointer
from onnx_export_action.project.places import repository_of
from onnx_export_action.vocabulary.errors import plan_error

_SUBMODULE = b"160000"  # the mode of an entry that is a commit of another repository
_DEEPEST = 10


class GitRepository:
    """The repository around a file; nothing in it is run (:mod:`onnx_export_action.isolation.git`).

    Raises:
        ExportError: the file is in none.
    """

    def __init__(self, file: Path) -> None:
        self.root = repository_of(file)
        if not (self.root / ".git").exists():
            raise plan_error(f"{file} is in no git repository", "without one there is nothing to compare with")
        self._git = Git(self.root)

    def relative(self, path: Path) -> str:
        """``path`` as git names it; empty for the root."""
        name = path.resolve().relative_to(self.root).as_posix()
        return "" if name == "." else name

    def has(self, name: str) -> bool:
        """Whether ``name`` is a commit of this clone."""
        asked = ("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}")
        return self._git.try_to_ask(*asked) is not None

    def base(self, name: str) -> str:
        """The commit where this branch left ``name``; ``name`` itself where the clone is too shallow to tell."""
        commit = self._git.ask("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}").decode().strip()
        common = self._git.try_to_ask("merge-base", commit, "HEAD")
        return common.decode().strip() if common else commit

    def file_at(self, commit: str, path: Path) -> bytes | None:
        """Content of a file in a commit, None when it was not there."""
        return self._git.try_to_ask("cat-file", "blob", f"{commit}:{self.relative(path)}")

    def changed_files(self, commit: str) -> list[str]:
        """Files of the working tree that differ from ``commit`` or are new, and those that are gone."""
        return sorted(set(_changed(self._git, commit, new=True, depth=0)))

    def uncommitted(self) -> list[str]:
        """Files that git keeps and that differ from the newest commit."""
        return sorted(set(_changed(self._git, "HEAD", new=False, depth=0)))


def _changed(git: Git, commit: str, *, new: bool, depth: int) -> Iterator[str]:
    """Files of the working tree that differ from ``commit``, those of submodules too; ``new`` ones where asked for."""
    differing = git.differing(commit)
    pointers = _kept_by_lfs(git, differing)
    for name in differing:
        if name not in pointers or not _is_content_of_pointer(git, commit, name):
            yield name
    if new:
        yield from git.names("ls-files", "-z", "--others", "--exclude-standard")
    for submodule in _submodules(git) if depth < _DEEPEST else ():
        # Which commit it is at was compared above; here is what was changed in it since.
        inner = Git(git.root / submodule)
        if inner.try_to_ask("rev-parse", "--quiet", "--verify", "HEAD") is None:
            yield submodule
            continue
        for name in _changed(inner, "HEAD", new=new, depth=depth + 1):
            yield f"{submodule}/{name}"


def _kept_by_lfs(git: Git, names: list[str]) -> set[str]:
    """Those of ``names`` that ``.gitattributes`` gives to Git LFS."""
    if not names:
        return set()
    listed = b"\0".join(os.fsencode(name) for name in names) + b"\0"
    words = git.ask("check-attr", "-z", "--stdin", "filter", given=listed).split(b"\0")
    found = zip(words[0::3], words[2::3], strict=False)  # name, attribute, value
    return {os.fsdecode(name) for name, value in found if value == b"lfs"}


def _is_content_of_pointer(git: Git, commit: str, name: str) -> bool:
    content = git.try_to_ask("cat-file", "blob", f"{commit}:{name}")
    pointer = None if content is None else parse_pointer(content)
    return pointer is not None and is_content_of(git.root / name, pointer)


def _submodules(git: Git) -> Iterator[str]:
    """The submodules that are checked out, by path."""
    for entry in git.ask("ls-files", "-z", "--stage").split(b"\0"):
        mode, _, name = entry.partition(b"\t")
        path = os.fsdecode(name)
        if mode.startswith(_SUBMODULE) and (git.root / path / ".git").exists():
            yield path
