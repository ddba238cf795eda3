"""From the staging folder to the destination: a reader never meets a half-written artifact."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from onnx_export_action.vocabulary.errors import ExportError, plan_error, write_error
from onnx_export_action.vocabulary.manifest import MANIFEST_NAME
from onnx_export_action.vocabulary.results import TargetResult, Verdict, encode


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
        raise write_error(path, error) from error


def write_result(result: TargetResult, path: Path) -> TargetResult:
    """Write ``result`` to ``path`` and give it back; where it cannot be written, with that as its failure.

    The work is done then and other targets may follow, so nothing is raised.
    """
    try:
        write_file(path, encode(result))
    except ExportError as error:
        unwritten = error.as_failure()
        if result.failure is not None:  # why it has no files matters more
            return replace(result, notes=[*result.notes, unwritten.message])
        return replace(result, verdict=Verdict.ERROR, failure=unwritten)
    return result


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def require_writable(destination: Path) -> None:
    """Make sure that an artifact can be put at ``destination``; makes nothing.

    Raises:
        ExportError: it cannot, the destination is a file, or its ``onnx`` folder is a link that leads out of it.
    """
    if destination.exists() and not destination.is_dir():
        raise plan_error(f"the output {destination} is a file", "give a folder")
    if destination.is_symlink() and not destination.exists():
        raise plan_error(f"the output {destination} is a link that leads nowhere", "remove the link")
    existing = _existing(destination)
    if not existing.is_dir():
        raise plan_error(f"the output folder {destination} cannot be made: {existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise plan_error(f"the output folder {existing} is not writable", "choose another, or change its permissions")
    _require_inside(destination / "onnx", destination)


def require_writable_file(path: Path) -> None:
    """Make sure, before the work, that :func:`write_file` can write ``path`` after it; makes nothing.

    Raises:
        ExportError: it cannot.
    """
    existing = _existing(path.parent)
    if path.is_dir():
        raise plan_error(f"{path} cannot be written: it is a folder")
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise plan_error(f"{path} cannot be written: {existing} is not a writable folder")


def _existing(path: Path) -> Path:
    """``path``, or the nearest folder above it that exists."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def _require_inside(folder: Path, destination: Path) -> None:
    if not folder.resolve().is_relative_to(destination.resolve()):
        raise plan_error(f"{folder} is a link out of the output folder", "remove the link")
    if folder.exists() and not folder.is_dir():
        raise plan_error(f"{folder} is a file", "remove it: a folder of that name belongs there")


@contextmanager
def staging_folder(destination: Path) -> Iterator[Path]:
    """An empty folder on the destination's own file system; gone at the end, whatever happened.

    It lies inside a destination that exists (which may be a mount point), else in the nearest folder above it.

    Raises:
        ExportError: it cannot be made.
    """
    try:
        outer = Path(tempfile.mkdtemp(prefix=".onnx-export-", dir=_existing(destination)))
    except OSError as error:
        raise plan_error(f"the output folder {destination} cannot be written: {error.strerror}") from error
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

    Raises:
        ExportError: a file's folder is a link out of the destination, or a folder has a file's name.
        OSError: a file cannot be moved.
    """
    if not destination.exists():
        destination.parent.mkdir(parents=True, exist_ok=True)
        staging.rename(destination)
        return
    files = sorted(
        (path.relative_to(staging) for path in staging.rglob("*") if path.is_file()),
        key=lambda p: (p.name == MANIFEST_NAME, p),
    )
    for file in files:
        _require_inside((destination / file).parent, destination)
        if (destination / file).is_dir() and not (destination / file).is_symlink():
            raise plan_error(f"{destination / file} is a folder", "remove it: a file of that name belongs there")
    (destination / MANIFEST_NAME).unlink(missing_ok=True)
    for stale in set(earlier) - set(files):
        _remove_inside(destination / stale, destination)
    for file in files:
        target = destination / file
        target.parent.mkdir(parents=True, exist_ok=True)
        (staging / file).replace(target)


def _remove_inside(path: Path, folder: Path) -> None:
    """Remove a file that an earlier manifest claims; the manifest may be anyone's, so never one elsewhere."""
    if path.parent.resolve().is_relative_to(folder.resolve()) and (path.is_file() or path.is_symlink()):
        path.unlink()
