"""A disk, a log or a reader that takes no more: told as what it is, never as bad usage, a bug or a wrong file."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from onnx_export_action.judging.policy import exit_code_after
from onnx_export_action.vocabulary.errors import DISK_FULL
from onnx_export_action.vocabulary.results import ExitCode, Stage, Verdict, read_result
from tests.conftest import CheckpointFactory
from tests.end_to_end.command import SCRIPT, CommandLine
from tests.end_to_end.conftest import Exported
from tests.runner import Runner

SETTINGS = """\
version: 1
targets:
  - {name: first, model: model, task: text-classification}
  - {name: second, model: model, task: text-classification}
"""


def no_file_may_grow_beyond(size: int) -> Callable[[], None]:
    """What a child process runs before it starts: larger files fail then, as on a disk that is full."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.fixture
def project(onnx_export: CommandLine, checkpoint: CheckpointFactory) -> CommandLine:
    shutil.copytree(checkpoint("bert", task="text-classification"), onnx_export.path("model"))
    onnx_export.path("onnx-export.yaml").write_text(SETTINGS)
    return onnx_export


def test_a_result_that_cannot_be_written_stops_no_other_target(project: CommandLine) -> None:
    project.path("artifacts/first.result.json").mkdir(parents=True)
    outcome = project("run")
    assert outcome.code == ExitCode.ERROR
    assert "artifacts/first.result.json cannot be written: Is a directory" in outcome.stderr
    assert "bug" not in outcome.stderr
    assert outcome.stdout.startswith("### ⚠️ `first`: the result could not be written (1 of 2 exports proven)")
    assert read_result(project.path("artifacts/second.result.json")).verdict is Verdict.PASS
    assert project.path("artifacts/first/onnx/model.onnx").is_file()


def test_a_report_that_finds_the_disk_full(onnx_export: CommandLine, classifier: Exported) -> None:
    outcome = onnx_export("report", classifier.result_json, "-o", "report.md", preexec_fn=no_file_may_grow_beyond(100))
    assert outcome.code == ExitCode.ERROR
    assert "error: report.md cannot be written: File too large\n  free some space" in outcome.stderr
    assert list(onnx_export.folder.iterdir()) == []


def test_starting_files_that_find_the_disk_full(onnx_export: CommandLine, checkpoint: CheckpointFactory) -> None:
    shutil.copytree(checkpoint("bert", task="text-classification"), onnx_export.path("model"))
    outcome = onnx_export("init", "--yes", preexec_fn=no_file_may_grow_beyond(20))
    assert outcome.code == ExitCode.ERROR
    assert "onnx-export.yaml cannot be written: File too large" in outcome.stderr


def ended(*arguments: object, folder: Path, stdout: str = os.devnull, stderr: int | None = None) -> tuple[int, str]:
    with Path(stdout).open("wb") as answer:
        done = subprocess.run(
            [SCRIPT, *map(str, arguments)],
            cwd=folder,
            stdout=answer,
            stderr=subprocess.PIPE if stderr is None else stderr,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            check=False,
        )
    return done.returncode, (done.stderr or b"").decode()


ANSWERS: list[Sequence[str]] = [
    ["--help"],
    ["run", "--help"],
    ["plan"],
    ["plan", "--format", "json"],
    ["plan", "--format", "github-matrix"],
    ["tasks"],
    ["tasks", "bert", "--format", "json"],
    ["schema", "config"],
    ["schema", "result"],
    ["init", "--dry-run"],
    ["report", "RESULT"],
]


@pytest.mark.parametrize("arguments", ANSWERS, ids=" ".join)
def test_an_answer_that_finds_the_disk_full(
    arguments: Sequence[str], project: CommandLine, classifier: Exported
) -> None:
    given = [classifier.result_json if word == "RESULT" else word for word in arguments]
    code, said = ended(*given, folder=project.folder, stdout="/dev/full")
    assert code == ExitCode.ERROR
    assert "cannot be written: No space left on device" in said
    assert "bug" not in said


@pytest.mark.parametrize("arguments", ANSWERS, ids=" ".join)
def test_a_reader_that_has_gone_gets_no_verdict(
    arguments: Sequence[str], project: CommandLine, classifier: Exported
) -> None:
    given = [str(classifier.result_json) if word == "RESULT" else word for word in arguments]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        done = subprocess.run([SCRIPT, *given], cwd=project.folder, stdout=gone, stderr=subprocess.PIPE, check=False)
    assert done.returncode == ExitCode.ERROR
    assert b"error" not in done.stderr


def test_a_log_that_takes_no_more_changes_nothing(project: CommandLine) -> None:
    with Path("/dev/full").open("wb") as full:
        assert ended("run", "--target", "first", folder=project.folder, stderr=full.fileno())[0] == ExitCode.PASSED
        assert ended("run", "--target", "none", folder=project.folder, stderr=full.fileno())[0] == ExitCode.USAGE
    assert read_result(project.path("artifacts/first.result.json")).verdict is Verdict.PASS


UNWRITABLE = ["onnx-export-report.md", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"]


@pytest.mark.parametrize("name", UNWRITABLE)
def test_a_step_tells_the_rest_when_one_file_takes_no_more(
    name: str, project: CommandLine, classifier: Exported, tmp_path: Path
) -> None:
    workspace = project.folder
    shutil.copy(classifier.result_json, workspace / "one.result.json")
    runner = Runner(workspace, tmp_path / "files")
    if name.startswith("GITHUB"):
        runner.replaced[name] = "/dev/full"
    else:
        (workspace / "artifacts" / name).mkdir(parents=True)
    step = runner.run("push", command="report", results="*.result.json")
    assert step.code == ExitCode.ERROR
    [error] = step.annotations("error")
    assert "cannot be written" in error.message
    assert "bug" not in step.log
    assert ("verdict" in step.outputs) == (name != "GITHUB_OUTPUT")
    assert ("1 of 1 export proven" in step.summary) == (name != "GITHUB_STEP_SUMMARY")
    assert (workspace / "artifacts/onnx-export-report.md").is_file() == name.startswith("GITHUB")


def test_each_stage_has_one_exit_code() -> None:
    codes = {stage: exit_code_after(stage) for stage in Stage}
    assert codes[Stage.PLAN] is ExitCode.USAGE
    assert codes[Stage.PUBLISH] is ExitCode.PUBLISHING
    assert {codes[stage] for stage in (Stage.LOAD, Stage.EXPORT, Stage.VALIDATE, Stage.WRITE)} == {ExitCode.ERROR}
    assert all(os.strerror(number) for number in DISK_FULL)
