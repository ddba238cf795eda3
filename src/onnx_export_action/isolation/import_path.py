"""What Python may import and the system may run: nothing of the folder in which a command works.

That folder may be a pull request's: a file ``random.py`` in it would run as soon as anything imports ``random``.
This module is imported before any other of the package, so it imports only what Python itself has loaded by then
(``__future__`` is none of it).
"""

# ruff: noqa: PTH109, PTH117, PTH120 - pathlib would be an import
import os
import sys

TYPE_CHECKING = False  # typing's own would be an import; type checkers take this name for it
if TYPE_CHECKING:
    from collections.abc import Mapping

_SEARCHED = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_PACKAGES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def leave_out_working_folder() -> None:
    """Take the working folder off ``sys.path``, however it came there, and keep it off in child processes.

    A folder inside the working folder that is named with its whole path stays: it may be a virtual environment.
    """
    sys.path[:] = importable_folders()
    os.environ["PYTHONSAFEPATH"] = "1"


def leave_out_working_folder_of_module_run(package: str) -> None:
    """The same when Python was started with ``-m`` and this package, which puts the working folder first.

    Python finds the package itself before that, so a folder of its name in the working folder wins all the same:
    ``python -P -m`` has no such gap.
    """
    if sys.argv[:1] != ["-m"]:  # what it is only while the module is looked for
        return
    if package in {word.removeprefix("-m").partition(".")[0] for word in sys.orig_argv}:
        leave_out_working_folder()


def importable_folders() -> list[str]:
    """``sys.path`` without the working folder."""
    return [folder for folder in sys.path if not _is_working_folder(folder)]


def searched_folders(environment: "Mapping[str, str]") -> dict[str, str]:
    """The variables that list folders to search, without entries that mean the working folder.

    An empty entry means it, and a relative one leads into it.
    """
    kept = {}
    for name in _SEARCHED:
        folders = [folder for folder in environment.get(name, "").split(os.pathsep) if not _is_working_folder(folder)]
        if folders:
            kept[name] = os.pathsep.join(folders)
    return kept


def _is_working_folder(folder: str) -> bool:
    """Whether an entry means the working folder or depends on it; the folder that holds this package never does."""
    if not os.path.isabs(folder):
        return True
    try:
        place, here = os.path.realpath(folder), os.path.realpath(os.getcwd())
    except OSError:  # there is no working folder any more
        return False
    return place == here and place != _PACKAGES
