"""Prints the structure of the code and what is larger than the house allows: a part of `make lint`.

python -m tools.house_report
"""

from __future__ import annotations

from collections import Counter

from tools.house import BY_NAME, ROOMS, arrows, floors, sizes


def main() -> None:
    """Print; tests/unit/test_house.py is what fails."""
    found = arrows()
    used = Counter((arrow.source, arrow.target) for arrow in found)
    strange = [arrow for arrow in found if arrow.target not in BY_NAME[arrow.source].uses]
    print(f"{len(ROOMS)} rooms on {max(floors().values())} floors, {len(used)} arrows, {len(strange)} not in the table")
    for arrow in strange:
        print(f"  {arrow}")
    too_large = [size for size in sizes() if size.size > size.limit]
    for kind in ("folder", "file", "class"):
        largest = sorted((size for size in sizes() if _kind(size.what) == kind), key=lambda size: -size.size)[:3]
        print(f"largest: {', '.join(f'{size.what} {size.size} of {size.limit}' for size in largest)}")
    for size in too_large:
        print(f"too large: {size.what} has {size.size} of at most {size.limit}")


def _kind(what: str) -> str:
    return "folder" if what.endswith("/") else "file" if what.endswith(".py") else "class"


if __name__ == "__main__":
    main()
