"""Errors meant for the person who reads them."""

from __future__ import annotations

from onnx_export_action.vocabulary.results import Failure, Stage


class ExportError(Exception):
    """Something the user can act on: what was wrong and what to do.

    ``stage`` decides the exit code: ``plan`` is bad usage or configuration (2), the others an error verdict (3).
    """

    def __init__(self, message: str, *, stage: Stage, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.stage = stage
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling between processes.
        return _rebuild, (self.message, self.stage, self.hint)

    def as_failure(self) -> Failure:
        """The same words as a value for the result."""
        return Failure(stage=self.stage, message=self.message, hint=self.hint)


def _rebuild(message: str, stage: Stage, hint: str | None) -> ExportError:
    return ExportError(message, stage=stage, hint=hint)


def plan_error(message: str, hint: str | None = None) -> ExportError:
    """The configuration or the call is wrong; nothing was loaded yet."""
    return ExportError(message, stage=Stage.PLAN, hint=hint)


def load_error(message: str, hint: str | None = None) -> ExportError:
    """The model, its weights or its processor could not be loaded."""
    return ExportError(message, stage=Stage.LOAD, hint=hint)
