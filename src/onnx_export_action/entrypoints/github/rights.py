"""What the container may do: it starts as root in a workspace that belongs to the runner's user."""

from __future__ import annotations

import os
from pathlib import Path


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
