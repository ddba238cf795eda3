"""docs/architecture.md tells the house as it is."""

from __future__ import annotations

import re

from tools.house import FILES_OF_A_FOLDER, FOREIGN, LINES_OF_A_CLASS, LINES_OF_A_FILE, PACKAGE, ROOT
from tools.write_rooms import PAGE, with_rooms

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_table_of_rooms_is_that_of_the_house() -> None:
    assert with_rooms(TEXT) == TEXT, "run python -m tools.write_rooms"


def test_what_the_page_names_is_there() -> None:
    named = {name for name in re.findall(r"`([\w./]+/[\w./]*)`", TEXT) if "NAME" not in name}
    assert len(named) > 10
    roots = (ROOT / "src" / PACKAGE, ROOT)
    assert [name for name in named if not any((root / name).exists() for root in roots)] == []


def test_the_page_states_the_limits_and_places_that_are_enforced() -> None:
    limits = f"at most {FILES_OF_A_FOLDER} files, a file {LINES_OF_A_FILE} lines, a class {LINES_OF_A_CLASS}"
    assert limits in TEXT
    assert [place for places in FOREIGN.values() for place in places if f"`{place}`" not in TEXT] == []
