"""From the bytes of an untrusted file to PyYAML's node graph, within bounds."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from onnx_export_action.vocabulary.problems import Problem, quoted

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 100_000  # counted with every alias written out
MAX_ALIASES = 100

# libyaml parses about ten times faster; both give the same events.
_LOADER: type[yaml.CSafeLoader] | type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_INDENTED_BY_TAB = re.compile(r"[ ]*(\t)[ \t]*\S")
_SYNTAX_HINTS = {
    "mapping values are not allowed": "quote text that holds ': ', and check the indentation",
    "cannot start any token": "quote text that starts with a special character",
    "did not find expected '-' indicator": "check the indentation",
    "did not find expected key": "check the indentation",
    "found undefined alias": "quote text that starts with '*'",
}


class UnreadableError(Exception):
    """Nothing further can be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Account:
    """What is wrong with one file so far, and how many values were read of it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self._nodes = 0

    def report(self, line: int, column: int, message: str, hint: str | None = None) -> None:
        """A mistake beside which the rest can be read."""
        self.problems.append(Problem(self.path, line, column, message, hint))

    def unreadable(self, line: int, column: int, message: str, hint: str | None = None) -> UnreadableError:
        """A mistake after which nothing can be read."""
        return UnreadableError(Problem(self.path, line, column, message, hint))

    def count(self, line: int, column: int) -> None:
        """One more value.

        Raises:
            UnreadableError: there are too many.
        """
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self.unreadable(line, column, f"more than {MAX_NODES} values, aliases written out")

    def begin(self) -> None:
        """Count from the start again."""
        self._nodes = 0


def read_text(path: Path, account: Account) -> str:
    """The text of a file that is no larger than allowed; mistakes beside which it can be read are reported.

    Raises:
        UnreadableError: it cannot be read, or is no text.
    """
    try:
        if not path.is_file():
            what = "is not a file" if path.exists() else "does not exist"
            raise account.unreadable(1, 1, f"the file {what}")
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise account.unreadable(1, 1, f"the file cannot be read: {error.strerror}") from error
    if len(raw) > MAX_BYTES:
        raise account.unreadable(1, 1, "the file is larger than 1 MiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _place(raw[: error.start].decode("utf-8-sig", errors="replace"))
        raise account.unreadable(line, column, "the file is not UTF-8 text", "save it as UTF-8") from error
    _check_characters(text, account)
    return text


def _check_characters(text: str, account: Account) -> None:
    unprintable = _UNPRINTABLE.search(text)
    if unprintable is not None:
        line, column = _place(text[: unprintable.start()])
        raise account.unreadable(line, column, f"the character {quoted(unprintable.group())} is not allowed")
    if "\t" not in text:
        return
    for number, line_text in enumerate(_LINE_BREAK.split(text), start=1):
        tab = _INDENTED_BY_TAB.match(line_text)
        if tab is not None:
            account.report(number, tab.start(1) + 1, "a tab cannot indent YAML", "use spaces")


def check_bounds(text: str, account: Account) -> None:
    """Refuse deep nesting, many aliases and several documents before anything is built from them.

    Raises:
        UnreadableError: there are such, or the text is no YAML.
    """
    depth = aliases = documents = 0
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            line, column = start_of(event)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            aliases += isinstance(event, yaml.AliasEvent)
            documents += isinstance(event, yaml.DocumentStartEvent)
            if depth > MAX_DEPTH:
                raise account.unreadable(line, column, f"nested deeper than {MAX_DEPTH} levels")
            if aliases > MAX_ALIASES:
                raise account.unreadable(line, column, f"more than {MAX_ALIASES} aliases")
            if documents > 1:
                raise account.unreadable(line, column, "a second document starts here", "keep one, remove '---'")
            account.count(line, column)
    except yaml.YAMLError as error:
        raise _syntax_error(error, account) from error
    account.begin()


def compose(text: str, account: Account) -> yaml.Node:
    """PyYAML's nodes of a text that keeps the bounds.

    Raises:
        UnreadableError: the text is no YAML, or empty.
    """
    try:
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise _syntax_error(error, account) from error
    if root is None:
        raise account.unreadable(1, 1, "the file is empty", "start with 'version: 1'")
    return root


def _syntax_error(error: yaml.YAMLError, account: Account) -> UnreadableError:
    mark = getattr(error, "problem_mark", None)
    line, column = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
    words = str(getattr(error, "problem", None) or "not YAML")
    context = getattr(error, "context", None)
    hint = next((hint for start, hint in _SYNTAX_HINTS.items() if start in words), None)
    message = f"not valid YAML: {words}" + (f" {context}" if context else "")
    return account.unreadable(line, column, message, hint)


def start_of(source: yaml.Event | yaml.Node) -> tuple[int, int]:
    """Line and column, from 1, where an event or a node starts; the file's start for those without a mark."""
    mark = source.start_mark
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


def _place(before: str) -> tuple[int, int]:
    """Line and column, from 1, of the character after ``before``."""
    lines = _LINE_BREAK.split(before)
    return len(lines), len(lines[-1]) + 1
