"""Interrupted at any stage, or robbed of a process: the destination is as it was, and nothing is left behind.

A stage is held still by stopping its process, so that the signal surely arrives in it.
"""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest

from onnx_export_action.vocabulary.results import Verdict, read_result
from tests.conftest import CheckpointFactory
from tests.end_to_end.command import CommandLine, Running, contents

EXPORTING, REFERENCE, CHECKING = "loading and exporting", "running PyTorch", "checking model.onnx"


@pytest.fixture
def model(checkpoint: CheckpointFactory) -> Path:
    return checkpoint("bert", task="text-classification")


def hold(run: Running, stage: str) -> psutil.Process:
    """Wait until the command is in the stage, with the stage's process stopped."""
    find = {EXPORTING: run.exporting, REFERENCE: run.referencing, CHECKING: run.checking}[stage]
    run.referencing()  # the last process to start: by now the command knows all of them
    process = find()
    process.suspend()
    run.wait_for_line(stage)
    return process


@pytest.mark.parametrize(
    ("stage", "number", "group"),
    [
        (None, signal.SIGINT, True),
        (EXPORTING, signal.SIGTERM, False),
        (REFERENCE, signal.SIGINT, False),
        (CHECKING, signal.SIGINT, True),
        (CHECKING, signal.SIGTERM, False),
    ],
    ids=["importing", "exporting", "reference", "checking", "checking, SIGTERM"],
)
def test_an_interrupt_is_exit_code_130_and_the_destination_stays_as_it_was(
    stage: str | None, number: signal.Signals, group: bool, onnx_export: CommandLine, model: Path
) -> None:
    destination = onnx_export.path("out")
    destination.mkdir()
    (destination / "mine.txt").write_text("mine")
    with onnx_export.started("export", model, "out", "--result-json", "results/out.json") as run:
        if stage is None:
            run.wait_for_line(EXPORTING)
            run.wait_until_torch_is_loaded().suspend()  # it would end by itself, but only after seconds
        else:
            hold(run, stage)
        run.send(number, group=group)
        outcome = run.outcome()
    assert (outcome.code, outcome.stdout) == (130, "")
    assert outcome.stderr.splitlines()[-1] == "interrupted; unfinished files were removed"
    assert contents(onnx_export.folder) == {"out/mine.txt": b"mine"}


def test_ctrl_c_is_for_the_command_alone(onnx_export: CommandLine, model: Path) -> None:
    """A terminal sends it to every process; one that is importing would show where it was interrupted."""
    with onnx_export.started("export", model, "out") as run:
        run.wait_until_torch_is_loaded().send_signal(signal.SIGINT)
        hold(run, EXPORTING)
        run.send(signal.SIGINT)
        assert run.outcome().code == 130
    assert contents(onnx_export.folder) == {}


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (EXPORTING, "the process that exports the model was killed by SIGKILL"),
        (REFERENCE, "the process that runs PyTorch on the cases was killed by SIGKILL"),
        (CHECKING, "the process that runs the file in ONNX Runtime was killed by SIGKILL"),
    ],
    ids=["exporting", "reference", "checking"],
)
def test_a_killed_process_is_an_error_and_never_a_pass(
    stage: str, said: str, onnx_export: CommandLine, model: Path
) -> None:
    with onnx_export.started("export", model, "new/out", "--result-json", "result.json") as run:
        hold(run, stage).kill()
        outcome = run.outcome()
    assert outcome.code == 3
    assert "✅" not in outcome.stdout
    result = read_result(onnx_export.path("result.json"))
    assert result.verdict is Verdict.ERROR
    failure = result.failure or result.files[0].failure
    assert failure is not None
    assert said in failure.message
    assert said in outcome.stdout
    if stage is not CHECKING:  # a file that could not be checked is there for its owner to look at
        assert set(contents(onnx_export.folder)) == {"result.json"}
