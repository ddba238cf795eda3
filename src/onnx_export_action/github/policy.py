"""What the results mean for the step: its verdict, its exit code, what became worse."""

from __future__ import annotations

from collections.abc import Sequence

from onnx_export_action.github.inputs import FailOn
from onnx_export_action.report.compare import FileChange, compare
from onnx_export_action.results import ExitCode, Stage, TargetResult, Verdict, overall_verdict


def verdict_of(result: TargetResult) -> Verdict:
    """The worst of what a result says of itself and of its files; no files is an error, whatever it says.

    A result file may be a stranger's: one that claims a pass over a failed file is not believed.
    """
    return overall_verdict([result.verdict, overall_verdict(file.verdict for file in result.files)])


def verdict_over(results: Sequence[TargetResult]) -> Verdict:
    """The verdict over all results; a pass where there was nothing to do."""
    return overall_verdict(verdict_of(result) for result in results) if results else Verdict.PASS


def comparable(base: Sequence[TargetResult], results: Sequence[TargetResult]) -> list[TargetResult]:
    """The base's results of the targets that ran: one that did not change has no result, and is not gone."""
    names = {result.target for result in results}
    return [result for result in base if result.target in names]


def regressions(base: Sequence[TargetResult], results: Sequence[TargetResult]) -> list[FileChange]:
    """The files that are gone, have a verdict other than the pass they had, or break their callers."""
    return [change for change in compare(comparable(base, results), results) if _is_worse(change)]


def _is_worse(change: FileChange) -> bool:
    return change.kind == "gone" or any(
        difference.breaking or (difference.what == "verdict" and difference.before == Verdict.PASS)
        for difference in change.differences
    )


def exit_code_of(results: Sequence[TargetResult], base: Sequence[TargetResult], fail_on: FailOn) -> ExitCode:
    """The step's exit code. The words of ``fail_on`` each include the one before; never is always 0."""
    if fail_on is FailOn.NEVER or not results:
        return ExitCode.PASSED
    if any(result.failure is not None and result.failure.stage is Stage.PLAN for result in results):
        return ExitCode.USAGE
    verdict = verdict_over(results)
    if verdict is Verdict.ERROR:
        return ExitCode.ERROR
    if verdict is Verdict.FAIL and fail_on is not FailOn.EXPORT:
        return ExitCode.FAILED
    if fail_on is FailOn.REGRESSION and regressions(base, results):
        return ExitCode.FAILED
    return ExitCode.PASSED
