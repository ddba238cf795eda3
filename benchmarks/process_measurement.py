"""What one command costs: wall clock, processor time, and peak memory of the process and of all it starts.

Peak memory has two honest figures, because a tool that works in several processes at once hides from the first:

- the largest single process: the kernel's ``ru_maxrss`` of the tree, exact and free;
- the whole tree: the largest sum over all live processes of PSS (each page divided by how many processes share it),
  sampled. Adding up RSS instead would count what processes share once for each.

Reading PSS makes the kernel walk the page tables of the process that is measured, so the tree is sampled only where
it is asked for: in runs whose time does not count.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_INTERVAL = 0.02  # seconds


@dataclass(frozen=True)
class Measurement:
    """One run. Seconds and bytes; ``tree_bytes`` is None where it was not sampled."""

    exit_code: int
    wall: float
    cpu: float
    largest_process_bytes: int
    tree_bytes: int | None


def measure(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None, sample_tree: bool = False
) -> Measurement:
    """Run ``command`` to its end with its output in ``log``.

    ``cpu`` is user and system time of the process and of every process below it that was waited for.
    """
    with log.open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)
        sampler = _TreeSampler(process.pid) if sample_tree else None
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    return Measurement(
        exit_code=process.returncode,
        wall=wall,
        cpu=usage.ru_utime + usage.ru_stime,
        largest_process_bytes=usage.ru_maxrss * 1024,
        tree_bytes=sampler.stop() if sampler is not None else None,
    )


class _TreeSampler:
    """A thread that adds up the PSS of a process and its descendants and keeps the largest sum."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
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
            self._peak = max(self._peak, sum(map(_proportional_bytes, _tree(self._pid))))


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:  # the thread ended in between
                continue
    return found


def _proportional_bytes(pid: int) -> int:
    """PSS, 0 for a process that has just ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
