"""From the staging folder to the destination: a reader never meets a half-written artifact."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onnx_export_action.errors import plan_error
from onnx_export_action.project.manifest import MANIFEST_NAME


def write_file(path: Path, content: bytes) -> None:
    """Write aside, then rename: a reader meets the old file or the new one, and a link is replaced, not followed.

    Raises:
        ExportError: it cannot be written.
    """
    partial: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:50]}.", delete=False) as file:
            partial = Path(file.name)
            file.write(content)
        partial.chmod(0o666 & ~_umask())
        partial.replace(path)
    except OSError as error:
        if partial is not None:
            partial.unlink(missing_ok=True)
        raise plan_error(f"{path} cannot be written: {error.strerror}") from error


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def require_writable(destination: Path) -> None:
    """Create the destination's parent and make sure that it can be written.

    Raises:
        ExportError: it cannot, or the destination is a file.
    """
    if destination.exists() and not destination.is_dir():
        raise plan_error(f"the output {destination} is a file", "give a folder")
    existing = destination if destination.exists() else destination.parent
    try:
        existing.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise plan_error(f"the output folder {destination} cannot be made: {error.strerror}") from error
    if not os.access(existing, os.W_OK | os.X_OK):
        raise plan_error(f"the output folder {existing} is not writable", "choose another, or change its permissions")


@contextmanager
def staging_folder(destination: Path) -> Iterator[Path]:
    """An empty folder on the destination's own file system; gone at the end, whatever happened.

    It lies inside a destination that exists (which may be a mount point), else beside where that will be.
    """
    outer = Path(
        tempfile.mkdtemp(prefix=".onnx-export-", dir=destination if destination.exists() else destination.parent)
    )
    try:
        staging = outer / "artifact"  # mkdtemp's own folder is closed to others; this one has the user's usual mode
        staging.mkdir()
        yield staging
    finally:
        shutil.rmtree(outer, ignore_errors=True)


def install_artifact(staging: Path, destination: Path, earlier: list[Path]) -> None:
    """Move every file of ``staging`` to ``destination``; the manifest comes last.

    A new destination appears in one step. In one that exists, files are replaced one by one, each in one step;
    ``earlier`` are files that the previous export wrote there, removed when this one has no successor for them.
    Anything else in the destination is left alone.
    """
    if not destination.exists():
        staging.rename(destination)
        return
    files = sorted(
        (path.relative_to(staging) for path in staging.rglob("*") if path.is_file()),
        key=lambda p: (p.name == MANIFEST_NAME, p),
    )
    (destination / MANIFEST_NAME).unlink(missing_ok=True)
    for stale in set(earlier) - set(files):
        (destination / stale).unlink(missing_ok=True)
    for file in files:
        target = destination / file
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.parent.resolve().is_relative_to(destination.resolve()):
            raise plan_error(f"{target.parent} is a link out of the output folder", "remove the link")
        (staging / file).replace(target)
