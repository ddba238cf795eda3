"""Fixtures of the end-to-end tests: the command, and exports that several tests look at."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from onnx_export_action.vocabulary.results import TargetResult, read_result
from tests.conftest import CheckpointFactory
from tests.end_to_end.command import CommandLine, Outcome


@pytest.fixture
def onnx_export(tmp_path: Path) -> CommandLine:
    """The command, in an empty folder of the test's own and with an empty cache of the Hub."""
    folder = tmp_path / "work"
    folder.mkdir()
    return CommandLine(folder, {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")})


@dataclass(frozen=True)
class Exported:
    """One export that went well, shared by tests that only read it."""

    model: Path
    folder: Path
    result_json: Path
    outcome: Outcome

    @property
    def result(self) -> TargetResult:
        return read_result(self.result_json)


@pytest.fixture(scope="session")
def classifier(checkpoint: CheckpointFactory, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A text classifier, exported from a local folder without being told its task."""
    root = tmp_path_factory.mktemp("classifier")
    model = checkpoint("bert", task="text-classification")
    outcome = CommandLine(root)("export", model, "out/classifier", "--result-json", "results/classifier.json")
    assert outcome.code == 0, outcome.stderr
    return Exported(model, root / "out" / "classifier", root / "results" / "classifier.json", outcome)
