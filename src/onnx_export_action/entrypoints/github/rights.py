"""What the container may do: it starts as root in a workspace that belongs to the runner's user."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def become_owner_of(workspace: Path) -> None:
    """Go on as the owner of the workspace, so that what is written there is theirs and a model's code is not root.

    Nothing happens for a process that is not root, or in a workspace that is root's own.
    """
    owner = workspace.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)


def hide_environment() -> None:
    """Keep other processes of the same user from reading this one's memory and first environment, tokens and all.

    Linux lets them through ``/proc/PID`` as long as the process is "dumpable":
    https://man7.org/linux/man-pages/man2/PR_SET_DUMPABLE.2const.html
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
