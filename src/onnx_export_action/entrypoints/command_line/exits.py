"""How a command ends: with the report and the code of its results, or with one message and the code of a mistake."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from onnx_export_action.entrypoints.progress import printable
from onnx_export_action.judging.policy import comparable, exit_code_after, exit_code_of
from onnx_export_action.pipeline.installing import write_result
from onnx_export_action.vocabulary.errors import DISK_FULL, ExportError, write_error
from onnx_export_action.vocabulary.interrupts import INTERRUPTS
from onnx_export_action.vocabulary.results import ExitCode, FailOn, TargetResult


class ForUsers(click.Command):
    """Turns errors meant for the user into one message and an exit code; nobody needs a traceback for a mistake."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run as click does, and exit with the code of the result or of the mistake."""
        kwargs["standalone_mode"] = False
        for interrupt in INTERRUPTS:
            signal.signal(interrupt, _interrupt)
        try:
            code = super().main(*args, **kwargs)
        except ExportError as error:
            _complain(error.message, error.hint)
            code = exit_code_after(error.stage)
        except click.ClickException as error:
            error.show()
            code = ExitCode.USAGE
        except (click.Abort, KeyboardInterrupt):
            _say("interrupted; unfinished files were removed")
            code = ExitCode.INTERRUPTED
        except SystemExit:  # click's way out, with exit code 1, when the reader of our stdout has gone
            code = ExitCode.ERROR
        except Exception as error:  # exit code 1, Python's own, would say that a file is wrong
            code = ExitCode.ERROR
            if isinstance(error, OSError) and error.errno in DISK_FULL:
                unwritten = write_error(error.filename or "the output", error)
                _complain(unwritten.message, unwritten.hint)
            else:
                _say(f"internal error: {_place_of(error)}")
                _say("  this is a bug in onnx-export: please report it with this line")
        sys.exit(int(code or 0))


def _interrupt(*_: object) -> NoReturn:
    for interrupt in INTERRUPTS:  # a second Ctrl-C would interrupt the removal of what the first one stopped
        signal.signal(interrupt, signal.SIG_IGN)
    raise KeyboardInterrupt


def _place_of(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return printable(f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})")


def _complain(message: str, hint: str | None) -> None:
    """Messages quote what a model's files say: each line is made harmless to a terminal and to a workflow's log."""
    _say("\n".join(printable(line) for line in f"error: {message}".splitlines()))
    if hint:
        _say(f"  {printable(hint)}")


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # a stderr that takes no more changes no exit code
        click.echo(text, err=True)


def complain_of(result: TargetResult) -> None:
    """Say on stderr why a target has no files; why a file is wrong is in its own result."""
    if result.failure is not None:
        _complain(f"{result.target}: {result.failure.message}", result.failure.hint)


def report_and_judge(
    results: list[TargetResult], base: Sequence[TargetResult] = (), fail_on: FailOn | None = None
) -> ExitCode:
    """Print the report of the results, and give the exit code that they deserve."""
    from onnx_export_action.report.render import render_markdown

    click.echo(render_markdown(results, base=comparable(base, results)))
    for result in results:
        complain_of(result)
    return exit_code_of(results, base, fail_on)


def finish(result: TargetResult, result_json: Path | None) -> ExitCode:
    """Write the result where the user wants it, and report it."""
    return report_and_judge([result if result_json is None else write_result(result, result_json)])


def reproduce() -> str:
    """The command as it was called."""
    return shlex.join(["onnx-export", *sys.argv[1:]])
