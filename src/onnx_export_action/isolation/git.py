"""git as a reader: it runs nothing that a repository, its settings or its files name, and asks nobody else.

Filters, hooks, file system monitors, external diffs, remotes that lend missing objects: each is a program that a
checkout can name. What git does itself (line endings, encodings) stays.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from onnx_export_action.isolation.import_path import searched_folders
from onnx_export_action.vocabulary.errors import plan_error
from onnx_export_action.vocabulary.problems import quoted

_SECONDS = 120
_MOST_FILTERS = 1000
_FILTER = re.compile(rb"filter\.(.+)\.(?:clean|smudge|process|required)", re.DOTALL)
_SAFE = (
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "core.quotePath=false"),
    "--no-pager",
)
# The two variables are values for --config-env, which (unlike -c) takes every name of a filter; a git that is too old
# to know it (before 2.31) refuses. No protocol is allowed: a partial clone would fetch what it does not have.
_NOTHING, _FALSE = "ONNX_EXPORT_NOTHING", "ONNX_EXPORT_FALSE"
_ENVIRONMENT = {
    _NOTHING: "",
    _FALSE: "false",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}


class Git:
    """Reads the repository at ``root``, which holds ``.git``; works in ``folder`` of it, by default at the root.

    Naming it keeps git from finding another one inside a pull request's files, and from refusing one that belongs to
    another user, as every workspace does to a container.
    """

    def __init__(self, root: Path, folder: Path | None = None) -> None:
        self.root = root
        self._folder = root if folder is None else folder

    def ask(self, *arguments: str, given: bytes = b"") -> bytes:
        """What a command answers to what it is ``given`` on its stdin.

        Raises:
            ExportError: it failed, git is not there, or it took too long.
        """
        finished = self._run(arguments, given)
        if finished.returncode != 0:
            said = finished.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
            command = next(word for word in arguments if not word.startswith("-"))
            raise plan_error(f"git {command} failed: {quoted(said[0])}")
        return finished.stdout

    def try_to_ask(self, *arguments: str) -> bytes | None:
        """What a command answers, None where it fails.

        Raises:
            ExportError: git is not there, or it took too long.
        """
        finished = self._run(arguments)
        return finished.stdout if finished.returncode == 0 else None

    def names(self, *arguments: str) -> list[str]:
        """The names that a command with ``-z`` lists."""
        return [os.fsdecode(name) for name in self.ask(*arguments).split(b"\0") if name]

    def differing(self, commit: str) -> list[str]:
        """Files that git keeps and whose content differs from ``commit``, as they lie there: no filter is applied.

        What a filter would have changed (the content of a Git LFS file) may be among them, though git has it so.
        """
        options = ("--name-only", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty")
        return self.names(*self._without_filters(), "diff", *options, commit)

    def _without_filters(self) -> Iterator[str]:
        listed = self.try_to_ask("config", "--null", "--name-only", "--get-regexp", r"^filter\.") or b""
        matches = [match for name in listed.split(b"\0") if (match := _FILTER.fullmatch(name))]
        filters = sorted({os.fsdecode(match[1]) for match in matches})
        if len(filters) > _MOST_FILTERS:
            raise plan_error(f"{self.root / '.git' / 'config'} names {len(filters)} filters", "remove them")
        for name in filters:
            for key in ("clean", "smudge", "process"):
                yield f"--config-env=filter.{name}.{key}={_NOTHING}"
            yield f"--config-env=filter.{name}.required={_FALSE}"

    def _run(self, arguments: Sequence[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        searched = searched_folders(os.environ)
        program = shutil.which("git", path=searched.get("PATH", os.defpath))
        if program is None:
            raise plan_error("git is not installed", "comparing with a commit needs it")
        place = [f"--git-dir={self.root / '.git'}", f"--work-tree={self.root}", "-C", str(self._folder)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        try:
            return subprocess.run(
                [program, *place, *_SAFE, *arguments],
                input=given,
                capture_output=True,
                check=False,
                env={**environment, **searched, **_ENVIRONMENT},
                timeout=_SECONDS,
            )
        except OSError as error:
            raise plan_error(f"git cannot be started: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise plan_error(f"git did not answer within {_SECONDS} seconds") from error
