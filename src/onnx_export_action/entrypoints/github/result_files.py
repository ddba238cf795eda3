"""Result files by pattern. They may come from an untrusted job: bounded, checked, never through a link out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from onnx_export_action.vocabulary.errors import plan_error
from onnx_export_action.vocabulary.problems import quoted
from onnx_export_action.vocabulary.results import MAX_RESULT_BYTES, TargetResult, read_result

MAX_FILES = 2000
MAX_TOTAL_BYTES = 256 * 1024 * 1024


def read_results(patterns: Sequence[str], directory: Path, workspace: Path) -> list[TargetResult]:
    """Read every result file that a pattern names, in the order of their paths.

    Raises:
        ExportError: a file is not a result, is too big or leads out of the workspace, or there are too many.
    """
    paths = sorted({path for pattern in patterns for path in _matching(pattern, directory)})
    if len(paths) > MAX_FILES:
        raise plan_error(f"{len(paths)} result files are too many", f"at most {MAX_FILES} are read")
    total = 0
    for path in paths:
        total += _checked_size(path, workspace)
        if total > MAX_TOTAL_BYTES:
            raise plan_error(f"the result files are larger than {MAX_TOTAL_BYTES >> 20} MiB together")
    return [_read(path) for path in paths]


def _matching(pattern: str, directory: Path) -> list[Path]:
    written = Path(pattern)
    if written.is_absolute() or ".." in written.parts:
        raise plan_error(f"the pattern {quoted(pattern)} leads out of the working directory", "give a relative one")
    try:
        # A link is not followed by `**`; a file that is one is refused below.
        return [path for path in directory.glob(pattern) if path.is_symlink() or path.is_file()]
    except (ValueError, NotImplementedError, OSError) as error:
        raise plan_error(f"{quoted(pattern)} is not a pattern of files: {quoted(str(error))}") from error


def _checked_size(path: Path, workspace: Path) -> int:
    if path.is_symlink() or not path.resolve().is_relative_to(workspace.resolve()):
        raise plan_error(f"{quoted(str(path))} is a link", "result files must be files of the workspace")
    size = path.stat().st_size
    if size > MAX_RESULT_BYTES:
        raise plan_error(f"{quoted(str(path))} is too big for a result: over {MAX_RESULT_BYTES >> 20} MiB")
    return size


def _read(path: Path) -> TargetResult:
    try:
        return read_result(path)
    except (ValueError, OSError) as error:
        raise plan_error(str(error), "export again with this version of the action") from error
