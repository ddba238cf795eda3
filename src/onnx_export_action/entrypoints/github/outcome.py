"""What a command of the action leaves behind, for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onnx_export_action.entrypoints.github.context import Head
from onnx_export_action.hub.publication import Publication
from onnx_export_action.project.plan_changes import ChangePlan
from onnx_export_action.project.settings import Settings
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.problems import Problem
from onnx_export_action.vocabulary.results import TargetResult
from onnx_export_hooks.findings import Finding


@dataclass(frozen=True)
class OnHub:
    """What was published, and why something was not: by target, or ``release`` for what is attached to one."""

    publications: Mapping[str, Publication] = field(default_factory=dict)
    unpublished: Mapping[str, ExportError] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """``plan`` and ``settings`` are None where nothing was planned; ``problems`` are those of the configuration.

    ``stopped``: a mistake in the inputs or the configuration kept the command from its work; no policy lets that pass.
    ``claimant``: the fork whose own run made the results, None where a run of this repository did.
    """

    results: Sequence[TargetResult] = ()
    base: Sequence[TargetResult] = ()
    plan: ChangePlan | None = None
    settings: Settings | None = None
    stopped: bool = False
    problems: Sequence[Problem] = ()
    findings: Sequence[Finding] = ()
    artifacts: Sequence[Path] = ()
    repro: Sequence[Path] = ()
    result_files: Sequence[Path] = ()
    hub: OnHub = OnHub()
    claimant: Head | None = None
