"""Errors meant for the person who reads them."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

from onnx_export_action.vocabulary.results import Failure, Stage

# What a disk says that takes no more: it is full, the quota is used up, or no file may grow so large.
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def disk_hint(error: OSError) -> str | None:
    """What to do about a disk that takes no more; None where it is something else."""
    return "free some space on that disk" if error.errno in DISK_FULL else None


class ExportError(Exception):
    """Something the user can act on: what was wrong and what to do.

    ``stage`` decides the exit code: ``plan`` is bad usage or configuration (2), ``publish`` a publication that was
    refused or failed (4), the others an error verdict (3). ``config_keys`` as :class:`Failure` has them.
    """

    def __init__(
        self, message: str, *, stage: Stage, hint: str | None = None, config_keys: Sequence[str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.stage = stage
        self.hint = hint
        self.config_keys = config_keys

    @classmethod
    def of(cls, failure: Failure) -> ExportError:
        """The error that a failure tells of."""
        return cls(failure.message, stage=failure.stage, hint=failure.hint, config_keys=failure.config_keys)

    def as_failure(self) -> Failure:
        """The same words as a value for the result."""
        keys = None if self.config_keys is None else list(self.config_keys)
        return Failure(stage=self.stage, message=self.message, hint=self.hint, config_keys=keys)


def plan_error(message: str, hint: str | None = None) -> ExportError:
    """The configuration, the call or the model's own files ask for what cannot be done."""
    return ExportError(message, stage=Stage.PLAN, hint=hint)


def config_error(message: str, hint: str | None = None, *, keys: Sequence[str] = ()) -> ExportError:
    """The model's ``config.json`` is at fault: these keys of it, or the whole of it."""
    return ExportError(message, stage=Stage.PLAN, hint=hint, config_keys=keys)


def load_error(message: str, hint: str | None = None) -> ExportError:
    """The model, its weights or its processor could not be loaded."""
    return ExportError(message, stage=Stage.LOAD, hint=hint)


def write_error(place: Path | str, error: OSError) -> ExportError:
    """A result or a report could not be written to ``place``; what it tells is not wrong for that."""
    message = f"{place} cannot be written: {error.strerror or error}"
    return ExportError(message, stage=Stage.WRITE, hint=disk_hint(error))
