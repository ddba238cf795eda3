"""A runtime that gives an error instead of an answer."""

from __future__ import annotations

import re

_MOST_WORDS = 300

# ONNX Runtime has one class of exception for all that a node may raise, and no field but its text.
_OVER_SIZES = re.compile(r"shape|dimension|broadcast|axis", re.IGNORECASE)

_NODE_NAME = re.compile(r"Name:'(?P<name>[^']*)'")


class RuntimeStoppedError(Exception):
    """The runtime gave an error instead of outputs.

    ``words`` are its own, in one line; ``over_sizes`` says that sizes did not fit, ``node`` names the node that it
    stopped at, where it says so.
    """

    def __init__(self, words: str, *, over_sizes: bool = False, node: str | None = None) -> None:
        super().__init__(words)
        self.words = words
        self.over_sizes = over_sizes
        self.node = node


def stopped(error: Exception, *, line: int = 0) -> RuntimeStoppedError:
    """What a runtime's exception says; ``line`` is the line of its text that says it."""
    if isinstance(error, RuntimeStoppedError):
        return error
    lines = str(error).strip().splitlines() or [type(error).__name__]
    words = lines[line][:_MOST_WORDS]
    node = _NODE_NAME.search(str(error))
    return RuntimeStoppedError(
        words, over_sizes=_OVER_SIZES.search(words) is not None, node=None if node is None else node["name"]
    )
