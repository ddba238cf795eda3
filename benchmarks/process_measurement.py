"""What one command costs: wall clock, processor time, and peak memory of the process and of all it starts.

A tool may work in processes that its own process never waits for, a fork server's for instance; the kernel's
accounting of the command alone would miss them. So the command runs below a small supervisor (this module, run as a
program) that adopts orphans and waits for every one of them.

Peak memory has two honest figures, because a tool that works in several processes at once hides from the first:

- the largest single process: the kernel's ``ru_maxrss``, exact and free;
- the whole tree: the largest sum over all live processes of PSS (each page divided by how many processes share it),
  sampled. Adding up RSS instead would count what processes share once for each.

Reading PSS makes the kernel walk the page tables of the process that is measured, so the tree is sampled only where
it is asked for: in runs whose time does not count.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_INTERVAL = 0.02  # seconds
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


@dataclass(frozen=True)
class Measurement:
    """One run. Seconds and bytes.

    ``wall`` ends with the command itself, as its caller sees it; ``lingering`` is how much longer the last process
    that it left behind lived. ``cpu`` is the user and system time of all of them. ``tree_bytes`` is None where the
    tree was not sampled.
    """

    exit_code: int
    wall: float
    lingering: float
    cpu: float
    largest_process_bytes: int
    tree_bytes: int | None = None


def measure(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None, sample_tree: bool = False
) -> Measurement:
    """Run ``command`` until it and all that it started have ended, with its output in ``log``.

    Raises:
        OSError: the command cannot be started; the message is the supervisor's.
    """
    with tempfile.TemporaryDirectory() as folder, log.open("wb") as output:
        answer = Path(folder) / "measurement.json"
        supervisor = subprocess.Popen(
            [sys.executable, "-S", __file__, str(answer), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
        )
        sampler = _TreeSampler(supervisor.pid) if sample_tree else None
        supervisor.wait()
        peak = sampler.stop() if sampler is not None else None
        if supervisor.returncode != 0:
            raise OSError(f"{command[0]} was not measured: {log.read_text(errors='replace').strip()}")
        return Measurement(**json.loads(answer.read_text()), tree_bytes=peak)


def supervise(command: Sequence[str]) -> Measurement:
    """Start ``command``, adopt what it orphans, and wait for everything.

    Must be called in a process that is small, as Linux hands the peak memory of a parent down to what it starts, and
    that has no other children.

    Raises:
        OSError: the command cannot be started.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot adopt orphans: prctl(PR_SET_CHILD_SUBREAPER) failed")
    start = time.perf_counter()
    process = subprocess.Popen(command)
    exit_code, wall, cpu, largest = 0, 0.0, 0.0, 0
    while True:
        try:
            pid, status, usage = os.wait4(-1, 0)
        except ChildProcessError:
            break
        cpu += usage.ru_utime + usage.ru_stime
        largest = max(largest, usage.ru_maxrss * 1024)
        if pid == process.pid:
            wall = time.perf_counter() - start
            process.returncode = exit_code = os.waitstatus_to_exitcode(status)
    lingering = time.perf_counter() - start - wall
    return Measurement(exit_code, wall, lingering, cpu, largest)


class _TreeSampler:
    """A thread that adds up the PSS of a supervisor's descendants and keeps the largest sum."""

    def __init__(self, supervisor: int) -> None:
        self._supervisor = supervisor
        self._peak = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> int:
        self._stopped.set()
        self._thread.join()
        return self._peak

    def _run(self) -> None:
        while not self._stopped.wait(SAMPLE_INTERVAL):
            self._peak = max(self._peak, sum(map(_proportional_bytes, _descendants(self._supervisor))))


def _descendants(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:  # the thread ended in between
                continue
    return found[1:]


def _proportional_bytes(pid: int) -> int:
    """PSS, 0 for a process that has just ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def _main() -> None:
    answer, *command = sys.argv[1:]
    try:
        found = supervise(command)
    except OSError as error:
        sys.exit(str(error))
    figures = {name: value for name, value in vars(found).items() if name != "tree_bytes"}
    Path(answer).write_text(json.dumps(figures))


if __name__ == "__main__":
    _main()
