"""What ``onnx-export.yaml`` says, read and checked."""

from __future__ import annotations

from pathlib import Path

import msgspec

from onnx_export_action.vocabulary.options import ExportOptions
from onnx_export_action.vocabulary.results import FailOn


class PublishSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The section ``publish`` of a target."""

    repo: str
    revision: str = "main"
    create_pr: bool = False
    tag: str | None = None
    private: bool = False


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of ``targets`` with the defaults merged in.

    ``model`` is as written; ``folder`` is its resolved folder, None for a Hub id. ``output`` is resolved too. ``task``
    is ``auto`` or the Hub's name of the task. ``line`` is where the target starts. ``notes`` is what a report should
    say of the choices made.
    """

    name: str
    model: str
    line: int
    output: Path
    folder: Path | None = None
    revision: str | None = None
    task: str = "auto"
    options: ExportOptions = ExportOptions()
    fail_on: FailOn = FailOn.VALIDATION
    publish: PublishSettings | None = None
    notes: list[str] = []
