"""``onnx-export plan`` and ``run --changed-since`` as a user runs them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.command import CommandLine

SETTINGS = """\
version: 1
targets:
  - {name: first, model: ./models/first, weights: random}
  - {name: second, model: ./models/second, weights: random}
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in ("first", "second"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "onnx-export.yaml").write_text(SETTINGS)
    identity = ["-c", "user.name=Someone", "-c", "user.email=someone@example.invalid"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "start"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def test_the_plan_names_what_changed_and_why(repository: Path) -> None:
    onnx_export = CommandLine(repository)
    (repository / "models/second/config.json").write_text('{"model_type": "gpt2"}')
    table = onnx_export("plan", "--changed-since", "HEAD")
    assert (table.code, table.stdout) == (0, "first   unchanged\nsecond  models/second/config.json changed\n")
    matrix = onnx_export("plan", "--changed-since", "HEAD", "--format", "github-matrix")
    assert json.loads(matrix.stdout) == {"include": [{"name": "second", "targets": "second"}]}
    plan = json.loads(onnx_export("plan", "--changed-since", "HEAD", "--format", "json").stdout)
    assert [target["reasons"] != [] for target in plan["targets"]] == [False, True]
    assert len(json.loads(onnx_export("plan", "--format", "github-matrix").stdout)["include"]) == 2


def test_a_run_without_changes_is_green_and_writes_nothing(repository: Path) -> None:
    outcome = CommandLine(repository)("run", "--changed-since", "HEAD")
    assert outcome.code == 0
    assert "Nothing to export: 2 targets unchanged" in outcome.stdout
    assert not (repository / "artifacts").exists()


def test_an_unknown_commit_is_a_mistake(repository: Path) -> None:
    outcome = CommandLine(repository)("run", "--changed-since", "--upload-pack=x")
    assert outcome.code == 2
    assert "there is no commit" in outcome.stderr
