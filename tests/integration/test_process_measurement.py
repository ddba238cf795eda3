"""The benchmark's figures are what they are called."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmarks.process_measurement import measure

MEBIBYTE = 2**20
# Two processes that hold 60 MiB each, half a second long, one started by the other.
TWO_PROCESSES = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "b = bytes([1]) * (60 << 20); import time; time.sleep(0.6)"])
held = bytes([1]) * (60 << 20)
time.sleep(0.5)
child.wait()
"""


def test_memory_of_the_tree_is_more_than_of_its_largest_process(tmp_path: Path) -> None:
    found = measure([sys.executable, "-c", TWO_PROCESSES], log=tmp_path / "log", sample_tree=True)
    assert found.exit_code == 0
    assert 60 * MEBIBYTE < found.largest_process_bytes < 100 * MEBIBYTE
    assert found.tree_bytes is not None
    assert 120 * MEBIBYTE < found.tree_bytes < 170 * MEBIBYTE


def test_pages_that_processes_share_count_once(tmp_path: Path) -> None:
    script = (
        "import os, time\nheld = bytes([1]) * (100 << 20)\nchild = os.fork()\ntime.sleep(0.3)\nchild and os.wait()\n"
    )
    found = measure([sys.executable, "-c", script], log=tmp_path / "log", sample_tree=True)
    assert found.tree_bytes is not None
    assert 100 * MEBIBYTE < found.tree_bytes < 150 * MEBIBYTE


def test_wall_and_processor_time_are_told_apart(tmp_path: Path) -> None:
    asleep = measure([sys.executable, "-c", "import time; time.sleep(0.4)"], log=tmp_path / "log")
    assert asleep.wall >= 0.4 > asleep.cpu
    busy = "import time\nwhile time.process_time() < 0.4: pass"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"
    assert measure([sys.executable, "-c", nested], log=tmp_path / "log").cpu >= 0.4


@pytest.mark.parametrize(
    ("script", "expected"), [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", -9)]
)
def test_how_a_command_ended_is_kept(tmp_path: Path, script: str, expected: int) -> None:
    found = measure([sys.executable, "-c", f"print('hello', flush=True); {script}"], log=tmp_path / "log")
    assert found.exit_code == expected
    assert (tmp_path / "log").read_text() == "hello\n"


def test_processes_that_nobody_waits_for_are_counted(tmp_path: Path) -> None:
    """As a fork server's workers are: the command ends at once and leaves them to init."""
    worker = "import time\nheld = bytes([1]) * (90 << 20)\nwhile time.process_time() < 0.3: pass"
    starter = f"import subprocess, sys, os; subprocess.Popen([sys.executable, '-c', {worker!r}]); os._exit(0)"
    found = measure([sys.executable, "-c", starter], log=tmp_path / "log", sample_tree=True)
    assert found.exit_code == 0
    assert found.cpu >= 0.3
    assert found.lingering > 0.2
    assert found.largest_process_bytes > 90 * MEBIBYTE
    assert found.tree_bytes is not None
    assert found.tree_bytes > 90 * MEBIBYTE


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"no-such-tool.*No such file"):
        measure([str(tmp_path / "no-such-tool")], log=tmp_path / "log")
