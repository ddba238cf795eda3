"""Names of axes."""

from __future__ import annotations


def atomic_axes(name: str) -> list[str]:
    """The names that a sum such as ``past_sequence_length + sequence_length`` is made of."""
    return [part.strip() for part in name.split("+")]
