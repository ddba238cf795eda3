"""What a command of the action leaves behind, for the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from onnx_export_action.hub.publish import Publication
from onnx_export_action.project.plan_changes import ChangePlan
from onnx_export_action.project.settings import Settings
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.problems import Problem
from onnx_export_action.vocabulary.results import TargetResult
from onnx_export_hooks.findings import Finding


@dataclass
class Outcome:
    """``plan`` and ``settings`` are None where nothing was planned; ``problems`` are those of the configuration.

    ``stopped``: a mistake in the inputs or the configuration kept the command from its work; no policy lets that pass.
    ``publications`` and ``unpublished`` are by target: what was published, and why something was not.
    """

    results: list[TargetResult] = field(default_factory=list)
    base: list[TargetResult] = field(default_factory=list)
    plan: ChangePlan | None = None
    settings: Settings | None = None
    stopped: bool = False
    problems: list[Problem] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    artifacts: list[Path] = field(default_factory=list)
    result_files: list[Path] = field(default_factory=list)
    publications: dict[str, Publication] = field(default_factory=dict)
    unpublished: dict[str, ExportError] = field(default_factory=dict)
