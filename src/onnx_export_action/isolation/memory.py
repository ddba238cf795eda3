"""Keeps other processes of the same user out of this one, and ends it with the one that started it. Linux alone."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4


def close_to_others() -> None:
    """Keep other processes of the same user from reading this one's memory and first environment, tokens and all.

    Linux lets them through ``/proc/PID`` as long as the process is "dumpable":
    https://man7.org/linux/man-pages/man2/PR_SET_DUMPABLE.2const.html
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def end_with(parent: int) -> None:
    """End this process when its ``parent`` ends, however that is; at once where it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
