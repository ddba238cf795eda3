"""Nothing of the working folder is on a path where something is looked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from onnx_export_action.isolation.import_path import leave_out_working_folder, searched_folders


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_form_of_the_working_folder_leaves(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = here.parent / f"{here.name}-link"
    link.symlink_to(here)
    environment = here / ".venv" / "lib"
    environment.mkdir(parents=True)
    entries = ["", ".", "src", "..", str(here), f"{here}/", f"{here}/.venv/..", str(link), str(environment), "/usr/lib"]
    monkeypatch.setattr(sys, "path", list(entries))
    leave_out_working_folder()
    assert sys.path == [str(environment), "/usr/lib"]
    assert os.environ["PYTHONSAFEPATH"] == "1"


def test_a_working_folder_that_is_gone_leaves_only_whole_paths(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here.rmdir()
    monkeypatch.setattr(sys, "path", ["", "/usr/lib"])
    leave_out_working_folder()
    assert sys.path == ["/usr/lib"]


def test_lists_of_folders_in_the_environment(here: Path) -> None:
    found = searched_folders({"PATH": f":/usr/bin:.:{here}:bin", "PYTHONPATH": f"{here}:", "LANG": "C"})
    assert found == {"PATH": "/usr/bin"}


def test_the_folder_that_holds_this_package_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnx_export_action

    source = Path(onnx_export_action.__file__).parents[1]
    monkeypatch.chdir(source)
    monkeypatch.setattr(sys, "path", [str(source)])
    leave_out_working_folder()
    assert sys.path == [str(source)]
