"""The rules of the house, as tools/house.py tells them, over all modules."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tools.house import (
    BY_NAME,
    FACE,
    HEAVY,
    HOOKS_PACKAGE,
    PACKAGE,
    ROOMS,
    ROOT,
    arrows,
    floors,
    modules,
    room_of,
    sizes,
    strangers,
)

UNIT = ROOT / "tests" / "unit"


def test_every_folder_is_a_room_and_every_room_is_there() -> None:
    folders = {path.parent.name for path in (ROOT / "src" / PACKAGE).glob("*/__init__.py")}
    assert folders == set(BY_NAME) - {FACE, "hooks"}


def test_the_table_lists_rooms_from_the_top_floor_down() -> None:
    names = [room.name for room in ROOMS]
    for number, room in enumerate(ROOMS):
        assert set(room.uses) <= set(names[number + 1 :]), room.name
        assert list(room.uses) == [name for name in names if name in room.uses], f"{room.name}: in the order of rooms"
    assert min(floors().values()) == 1


def test_every_arrow_goes_down_as_the_table_says() -> None:
    """Imports in functions, for the type checker, and modules named for a process of its own count as well."""
    strange = [str(arrow) for arrow in arrows() if arrow.target not in BY_NAME[arrow.source].uses]
    assert strange == [], "import from a room below, or say in tools/house.py that the room uses it"


def test_the_table_lists_no_arrow_that_is_not_there() -> None:
    drawn = {(arrow.source, arrow.target) for arrow in arrows()}
    listed = {(room.name, name) for room in ROOMS for name in room.uses}
    assert listed - drawn == set(), "take it out of tools/house.py"


def test_a_foreign_thing_has_one_place() -> None:
    assert list(strangers()) == []


def _is_light(module: str) -> bool:
    room = BY_NAME[room_of(module)]
    return module in room.light_modules if not room.light else module not in room.heavy_modules


def _importable(module: str) -> str:
    if module == "hooks" or module.startswith("hooks."):
        return HOOKS_PACKAGE + module.removeprefix("hooks")
    return f"{PACKAGE}.{module}" if module else PACKAGE


# Imports every module in one process in which a heavy package refuses to be imported.
IMPORTING = """
import importlib, sys, traceback

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {heavy}:
            raise ImportError(f"{{name}} is heavy")

sys.meta_path.insert(0, Refusing())
for name in sys.stdin.read().split():
    try:
        importlib.import_module(name)
    except ImportError as error:
        last = traceback.extract_tb(error.__traceback__)[-2]
        print(f"{{name}}: {{error}} ({{last.filename}}:{{last.lineno}})")
print("done")
"""


def what_is_heavy(names: list[str], **options: object) -> list[str]:
    code = textwrap.dedent(IMPORTING.format(heavy=set(HEAVY)))
    done = subprocess.run(
        [sys.executable, "-c", code], input="\n".join(names), capture_output=True, text=True, check=True, **options
    )
    lines = done.stdout.splitlines()
    assert lines[-1] == "done"
    return lines[:-1]


def test_light_rooms_import_no_heavy_package() -> None:
    light = [_importable(module) for module, path in modules() if _is_light(module) and path.stem != "__main__"]
    assert len(light) > 120
    assert what_is_heavy(light) == []


def test_exceptions_of_the_table_are_modules_and_needed() -> None:
    known = {module for module, _ in modules()}
    for room in ROOMS:
        assert set(room.light_modules) | set(room.heavy_modules) <= known
        assert all(room_of(module) == room.name for module in (*room.light_modules, *room.heavy_modules))
    heavy = [_importable(module) for room in ROOMS for module in room.heavy_modules]
    assert len(what_is_heavy(heavy)) == len(heavy)


def test_a_heavy_import_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)  # commands that ran in this process set it
    (tmp_path / "innocent.py").write_text("import json\n")
    (tmp_path / "careless.py").write_text("import json\n\nimport torch.nn\n")
    # The command sets PYTHONSAFEPATH for the processes it starts, and a test may have run it in this one.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    found = what_is_heavy(["innocent", "careless"], cwd=tmp_path, env=environment)
    assert found == [f"careless: torch is heavy ({tmp_path / 'careless.py'}:3)"]


MIRRORED = sorted(path for path in UNIT.rglob("test_*.py") if path.parent != UNIT)
# Beside the package: what lies at the top of the repository, where a page or a folder of examples is a subject as well.
BESIDE = {"hooks": ROOT / "hooks" / HOOKS_PACKAGE} | {
    name: ROOT / name for name in ("benchmarks", "docs", "examples", "tools")
}


@pytest.mark.parametrize("path", MIRRORED, ids=lambda path: path.relative_to(UNIT).as_posix())
def test_a_unit_test_lies_where_its_subject_does(path: Path) -> None:
    name = path.stem.removeprefix("test_")
    first, *rest = path.parent.relative_to(UNIT).parts
    folder = BESIDE.get(first, ROOT / "src" / PACKAGE / first).joinpath(*rest)
    subjects = [folder / f"{name}.py", folder / name, folder / f"{name.replace('_', '-')}.md"]
    assert any(subject.exists() for subject in subjects), f"there is no {subjects[0].relative_to(ROOT)}"


def test_no_folder_file_or_class_is_larger_than_the_house_allows() -> None:
    assert [f"{size.what} has {size.size} of {size.limit}" for size in sizes() if size.size > size.limit] == []
