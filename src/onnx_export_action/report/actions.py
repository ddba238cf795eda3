"""What to do about an export that is not proven: always something to do, chosen by what is known of the failure."""

from __future__ import annotations

from pathlib import PurePosixPath

from onnx_export_action.report.escape import PROSE_LIMIT, Markdown, code, command
from onnx_export_action.vocabulary.names.file_names import REPRODUCING_SCRIPT
from onnx_export_action.vocabulary.results import Cause, Failure, FileResult, Stage, TargetResult
from onnx_export_action.vocabulary.variants import VARIANTS

_OF_STAGE = {
    Stage.PLAN: "correct what the message names, in `onnx-export.yaml` or in the model's `config.json`",
    Stage.LOAD: "make the model load with transformers alone, then export it again",
    Stage.EXPORT: "set `engine: torch-export` for the target, or report the message with the model's `config.json`",
    Stage.VALIDATE: "export it again; where the message stays, report it with the model's `config.json`",
    Stage.WRITE: "make room or give rights where the results go, then run it again",
    Stage.PUBLISH: "publish it again when the Hub answers",
}


def action_for_target(result: TargetResult, failure: Failure) -> Markdown:
    """What to do about a target that stopped; the error's own hint is that."""
    return _told(failure) or _again(result, _OF_STAGE[failure.stage])


def action_for_file(result: TargetResult, file: FileResult) -> Markdown:
    """What to do about a file that is wrong, or did not run."""
    failure = file.failure
    if failure is None:
        return _again(result, "export it again and look at the cases that differ")
    if failure.cause is None and failure.hint:  # not of a diagnosis, whose hint says why
        return _told(failure) or Markdown("")
    if failure.cause is Cause.FILE:
        return _again(result, "export it again and replace the file")
    variant = VARIANTS.get(file.variant)
    if variant is not None and not variant.float32:
        kept = f"`high_precision: {{{variant.name}: auto}}`"
        return Markdown(f"keep in float32 what loses most, with {kept}, or take {variant.name} out of `variants`")
    if failure.repro is not None:
        script = (PurePosixPath(failure.repro) / REPRODUCING_SCRIPT).as_posix()
        layer = failure.first_divergent_layer
        shown = f"run {code(f'python -P {script}', PROSE_LIMIT)}, which shows it with numpy and ONNX Runtime alone"
        then = f"look at {code(layer, PROSE_LIMIT)} in the model's code" if layer else "follow what it prints"
        return Markdown(f"{shown}, then {then}")
    if failure.cause is Cause.AXIS:
        return Markdown("set `engine: torch-export` for the target, or declare the axis with its one size in `inputs`")
    return _again(result, "set `engine: torch-export` for the target and export it again")


def _told(failure: Failure) -> Markdown | None:
    return code(failure.hint, PROSE_LIMIT) if failure.hint else None


def _again(result: TargetResult, words: str) -> Markdown:
    """Words, and the command where it is one of this project's and short enough for a sentence."""
    known = result.reproduce is not None and command(result.reproduce) is not None
    run = f": {code(result.reproduce, PROSE_LIMIT)}" if known and result.reproduce is not None else ""
    return Markdown(f"{words}{run}")
