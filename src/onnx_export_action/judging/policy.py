"""What results mean for whoever asked: one verdict, the exit code, what became worse."""

from __future__ import annotations

from collections.abc import Sequence

from onnx_export_action.judging.comparison import Aspect, ChangeKind, FileChange, compare
from onnx_export_action.judging.evidence import proven_verdict
from onnx_export_action.vocabulary.results import ExitCode, FailOn, Stage, TargetResult, Verdict, overall_verdict

_EXIT_CODES = {Stage.PLAN: ExitCode.USAGE, Stage.PUBLISH: ExitCode.PUBLISHING}


def exit_code_after(stage: Stage) -> ExitCode:
    """The exit code of work that stopped at ``stage``."""
    return _EXIT_CODES.get(stage, ExitCode.ERROR)


def verdict_of(result: TargetResult) -> Verdict:
    """The verdict that the result's evidence carries: a result file may be a stranger's, and claim what it likes."""
    return proven_verdict(result)


def verdict_over(results: Sequence[TargetResult]) -> Verdict:
    """The verdict over all results; a pass where there was nothing to do."""
    return overall_verdict(verdict_of(result) for result in results) if results else Verdict.PASS


def comparable(base: Sequence[TargetResult], results: Sequence[TargetResult]) -> list[TargetResult]:
    """The base's results of the targets that ran: one that did not change has no result, and is not gone.

    Where the base has several results of one target, for several tasks, those of the tasks that ran.
    """
    ran = {(result.target, result.model.task) for result in results}
    targets = {target for target, _ in ran}
    of_task = {result.target for result in base if (result.target, result.model.task) in ran}
    return [
        result
        for result in base
        if result.target in targets and (result.target not in of_task or (result.target, result.model.task) in ran)
    ]


def regressions(base: Sequence[TargetResult], results: Sequence[TargetResult]) -> list[FileChange]:
    """The files that are gone, have a verdict other than the pass they had, or break their callers.

    Each result is compared by itself: of two with one target's name, the last must not hide what the first says.
    """
    changes = (change for result in results for change in compare(comparable(base, [result]), [result]))
    return [change for change in changes if _is_worse(change)]


def _is_worse(change: FileChange) -> bool:
    return change.kind is ChangeKind.GONE or any(
        difference.breaking or (difference.aspect is Aspect.VERDICT and difference.before is Verdict.PASS)
        for difference in change.differences
    )


def exit_code_of(
    results: Sequence[TargetResult], base: Sequence[TargetResult] = (), fail_on: FailOn | None = None
) -> ExitCode:
    """The exit code over all results; where ``fail_on`` is None each target's own policy holds for it.

    A plan that cannot be carried out comes first, then what did not run, then wrong files, then regressions.
    """
    # No table by name: two jobs of a matrix may have left a result of the same target, and neither hides the other.
    judged = [(result, result.fail_on if fail_on is None else fail_on) for result in results]
    counted = [(result, policy) for result, policy in judged if policy is not FailOn.NEVER]
    if any(result.failure is not None and result.failure.stage is Stage.PLAN for result, _ in counted):
        return ExitCode.USAGE
    if any(verdict_of(result) is Verdict.ERROR for result, _ in counted):
        return ExitCode.ERROR
    if any(verdict_of(result) is Verdict.FAIL and policy is not FailOn.EXPORT for result, policy in counted):
        return ExitCode.FAILED
    if any(policy is FailOn.REGRESSION and regressions(base, [result]) for result, policy in counted):
        return ExitCode.FAILED
    return ExitCode.PASSED
