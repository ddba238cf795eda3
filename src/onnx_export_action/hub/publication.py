"""Where files are published to, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Destination:
    """Where to publish. ``revision`` is a branch, made where it is missing; ``private`` is for a new repository."""

    repo: str
    revision: str = "main"
    create_pr: bool = False
    tag: str | None = None
    private: bool = False


@dataclass(frozen=True)
class Step:
    """One file of the commit: ``action`` is add, update or keep."""

    action: str
    path: str
    size: int


@dataclass(frozen=True)
class Publication:
    """What was done, or (``dry_run``) would be. ``commit`` is empty where nothing had to change."""

    destination: Destination
    steps: Sequence[Step]
    notes: Sequence[str] = ()
    dry_run: bool = False
    commit: str = ""
    url: str = ""

    def lines(self) -> Iterator[str]:
        """What to tell: a line a file, then where it is."""
        for step in self.steps:
            yield f"{step.action:<6}  {step.path}  {step.size} bytes"
        yield from self.notes
        place = f"{self.destination.repo} ({self.destination.revision})"
        if self.dry_run:
            yield f"would publish to {place}"
        elif self.url:
            yield f"published to {place}: {self.url}"
        else:
            yield f"{place} has all of it already: {self.commit}"
