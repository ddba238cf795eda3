"""Writes the table of rooms in docs/architecture.md from tools/house.py.

python -m tools.write_rooms
"""

from __future__ import annotations

from collections.abc import Iterator

from tools.house import FACE, ROOMS, ROOT, floors

PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- rooms: written by tools/write_rooms.py -->\n", "<!-- end of rooms -->\n"


def with_rooms(page: str) -> str:
    """The page with the table as the house is now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "".join(f"{line}\n" for line in table()) + END + after


def table() -> Iterator[str]:
    """The lines of the table, the top floor first."""
    found = floors()
    yield f"{len(ROOMS)} rooms on {max(found.values())} floors, {sum(len(room.uses) for room in ROOMS)} arrows."
    yield ""
    yield "| Floor | Room | What it knows | Light | Uses |"
    yield "|---|---|---|---|---|"
    for room in sorted(ROOMS, key=lambda room: -found[room.name]):
        name = "the package itself" if room.name == FACE else f"`{room.name}`"
        exceptions = ", ".join(f"`{module.partition('.')[2]}`" for module in (*room.light_modules, *room.heavy_modules))
        word = "yes" if room.light else "no"
        light = f"{word}, but {exceptions}" if exceptions else word
        yield f"| {found[room.name]} | {name} | {room.knows} | {light} | {', '.join(room.uses)} |"


if __name__ == "__main__":
    PAGE.write_text(with_rooms(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
