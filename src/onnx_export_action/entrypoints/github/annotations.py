"""Annotations: what is wrong, on the line that causes it. Ranked, and capped where GitHub would drop them unseen.

GitHub shows ten annotations of a level for a step. Texts come from a pull request: one line, every character visible;
actions-toolkit escapes what the runner reads.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from onnx_export_action.entrypoints.github import toolkit
from onnx_export_action.judging.comparison import Aspect, ChangeKind, FileChange
from onnx_export_action.judging.policy import verdict_of
from onnx_export_action.project.settings import Target
from onnx_export_action.report.differences import before_and_after
from onnx_export_action.report.escape import visible
from onnx_export_action.report.failures import NEAR_MISS
from onnx_export_action.vocabulary.names.file_names import CONFIG_NAME, SETTINGS_NAME
from onnx_export_action.vocabulary.problems import Problem
from onnx_export_action.vocabulary.results import Failure, FileResult, TargetResult, Verdict
from onnx_export_hooks.findings import Finding

MOST_PER_LEVEL = 10
LEVELS = ("error", "warning", "notice")
_MESSAGE_LIMIT = 1000
_NAME_LIMIT = 100
_MAX_CONFIG_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Annotation:
    """One annotation. ``file`` is relative to the workspace; without it the annotation belongs to the run."""

    level: str
    message: str
    file: str | None = None
    line: int = 1
    column: int | None = None
    title: str = ""


@dataclass(frozen=True)
class Places:
    """Where annotations can point: the workspace, the configuration file and the targets in it."""

    workspace: Path
    config: Path | None = None
    targets: Sequence[Target] = ()

    def relative(self, path: Path) -> str | None:
        """``path`` as GitHub names files; None outside the workspace."""
        absolute = Path(os.path.normpath(path.absolute()))
        return absolute.relative_to(self.workspace).as_posix() if absolute.is_relative_to(self.workspace) else None

    def of(self, result: TargetResult) -> tuple[str | None, int]:
        """File and line that cause a result: a line of its model's config.json, else where its target starts."""
        target = next((target for target in self.targets if target.name == result.target), None)
        if target is None or self.config is None:
            return None, 1
        failure = result.failure
        if failure is not None and target.folder is not None and failure.config_keys is not None:
            place = self._in_model_config(target.folder / CONFIG_NAME, frozenset(failure.config_keys))
            if place is not None:
                return place
        return self.relative(self.config), target.line

    def _in_model_config(self, path: Path, keys: frozenset[str]) -> tuple[str, int] | None:
        file = self.relative(path)
        if file is None or not path.is_file() or path.is_symlink() or path.stat().st_size > _MAX_CONFIG_BYTES:
            return None
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
        found = (number for number, line in enumerate(lines, 1) if keys & set(re.findall(r'"(\w+)"\s*:', line)))
        return file, next(found, 1)


def of_problems(problems: Iterable[Problem], places: Places) -> Iterator[Annotation]:
    """One error a mistake of the configuration file, in its order."""
    for problem in problems:
        message = problem.message if problem.hint is None else f"{problem.message}: {problem.hint}"
        file = places.relative(Path(problem.path))
        yield Annotation("error", message, file, problem.line, problem.column, SETTINGS_NAME)


def of_results(results: Sequence[TargetResult], worse: Sequence[FileChange], places: Places) -> Iterator[Annotation]:
    """What did not run, then what is wrong, then regressions, then near misses; nothing for what is proven."""
    ranked = sorted(results, key=lambda result: (Verdict.ERROR, Verdict.FAIL, Verdict.PASS).index(verdict_of(result)))
    for result in ranked:
        file, line = places.of(result)
        for message in _reasons(result):
            yield Annotation("error", message, file, line, title=result.target)
    by_target = {result.target: result for result in results}
    for change in worse:
        if change.target in by_target:
            file, line = places.of(by_target[change.target])
            yield Annotation("warning", f"{change.path}: {_worse(change)}", file, line, title=change.target)
    for result in results:
        margin = max((file.worst_margin or 0.0 for file in result.files), default=0.0)
        if verdict_of(result) is Verdict.PASS and margin > NEAR_MISS:
            file, line = places.of(result)
            message = f"near miss: {margin:.2f} of the tolerance was used"
            yield Annotation("warning", message, file, line, title=result.target)


def of_findings(findings: Iterable[Finding], places: Places) -> Iterator[Annotation]:
    """What the hooks would say at the commit, as warnings: the verdict is that of the files."""
    for found in findings:
        message = f"{found.message} [{found.rule}]"
        yield Annotation("warning", message, places.relative(Path(found.path)), found.line, found.column, found.rule)


def print_annotations(annotations: Iterable[Annotation]) -> None:
    """Print them, most important first; the last of a level says how many more there are."""
    found = list(annotations)
    for level in LEVELS:
        of_level = [annotation for annotation in found if annotation.level == level]
        shown = of_level if len(of_level) <= MOST_PER_LEVEL else of_level[: MOST_PER_LEVEL - 1]
        for annotation in shown:
            _print(annotation)
        if len(shown) < len(of_level):
            _print(Annotation(level, f"and {len(of_level) - len(shown)} more: see the summary of this run"))


def _print(annotation: Annotation) -> None:
    properties: dict[str, str | int] = {}
    if annotation.file is not None:
        properties |= {"file": annotation.file, "line": annotation.line}
        if annotation.column is not None:
            properties["col"] = annotation.column
    if annotation.title:
        properties["title"] = visible(annotation.title, _NAME_LIMIT)
    toolkit.annotate(annotation.level, visible(annotation.message, _MESSAGE_LIMIT), properties)


def _reasons(result: TargetResult) -> Iterator[str]:
    if result.failure is not None:
        yield _words(result.failure)
    for file in result.files:
        if file.verdict is not Verdict.PASS:
            yield f"{file.path}: {_words(file.failure) if file.failure is not None else _wrong(file)}"
    if verdict_of(result) is not Verdict.PASS and result.failure is None:
        if not result.files:
            yield "nothing was exported"
        elif all(file.verdict is Verdict.PASS for file in result.files):
            yield f"its result says {result.verdict} without a reason"


def _words(failure: Failure) -> str:
    return failure.message if failure.hint is None else f"{failure.message}: {failure.hint}"


def _wrong(file: FileResult) -> str:
    if file.worst_margin is not None and file.worst_margin > 1:
        return f"differs from PyTorch by {file.worst_margin:.3g} times the tolerance"
    return "the validation failed" if file.verdict is Verdict.FAIL else "the validation did not run"


def _worse(change: FileChange) -> str:
    if change.kind is ChangeKind.GONE:
        return "this file is gone"
    told = [one for one in change.differences if one.breaking or one.aspect is Aspect.VERDICT]
    words = [(one.aspect, *before_and_after(one)) for one in told]
    return "; ".join(f"{aspect}: {before or 'none'} before, {after or 'none'} now" for aspect, before, after in words)
