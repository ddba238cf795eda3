"""What is wrong in a file of the user's: where, in which words, and the nearest word that would be right."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

_LONGEST_QUOTE = 80
_LONGEST_GUESS = 64  # difflib is quadratic in the length of its words


class Problem(msgspec.Struct, frozen=True):
    """One mistake. ``line`` and ``column`` count from 1; ``hint`` is what to do about it."""

    path: str
    line: int
    column: int
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        words = f"{self.path}:{self.line}:{self.column}: {self.message}"
        return words if self.hint is None else f"{words}: {self.hint}"


def quoted(value: object) -> str:
    """``value`` as a short literal: control, zero-width and right-to-left characters come out as escapes."""
    if isinstance(value, str):
        return repr(value if len(value) <= _LONGEST_QUOTE else value[:_LONGEST_QUOTE] + "...")
    literal = repr(value)
    return literal if len(literal) <= _LONGEST_QUOTE else literal[:_LONGEST_QUOTE] + "..."


def nearest(word: str, valid: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The valid word that a reader most likely meant, None when none is near (1 is the same, 0 nothing alike)."""
    import difflib

    if len(word) > _LONGEST_GUESS:
        return None
    spelling = {candidate.lower(): candidate for candidate in valid}
    found = difflib.get_close_matches(word.lower(), spelling, n=1, cutoff=cutoff)
    return spelling[found[0]] if found else None


def did_you_mean(word: str, valid: Iterable[str]) -> str | None:
    """The hint that names the nearest valid word, None when none is near."""
    found = nearest(word, valid)
    return None if found is None else f"did you mean {quoted(found)}?"
