"""Untrusted text as GitHub Markdown that shows it and does nothing else.

Names, messages, versions and sample sentences come from models, from YAML and from ``result.json``, which a stranger's
pull request can write. The rules, all of them in this module:

1. Untrusted text is printed in code only: a code span (:func:`code`), a fenced block (:func:`block`, :func:`command`)
   or, where Markdown is not read, an HTML ``<code>`` element (:func:`html_code`). Inside code no parser looks for
   links, images, HTML, emphasis, tables or math, and GitHub makes no mention, no issue or commit reference, no emoji
   and no autolink. Escaping ``@`` or ``#`` in prose would not do: GitHub looks for them after entities are decoded.
2. A delimiter is always longer than any run of backticks in the text; runs of more than eight are written ``\\x60``.
3. Characters that do not print (controls, line breaks, zero-width, bidirectional overrides, lone surrogates, blank
   letters such as Hangul fillers) are written as Python escapes, so that the reader sees them. So is every combining
   mark after the third in a row, which would paint over its neighbours.
4. A pipe is ``\\|``, which a table cell shows as ``|``. Right after a backslash it is ``\\x7c``, because parsers do not
   agree on ``\\\\|`` in a table cell.
5. Text is cut to a sane length before anything else is done with it, so five megabytes cost no more than a line.
6. A right-to-left name is wrapped in directional isolates, so that it cannot reorder the words around it.
7. A report may be printed in a job's log, where the runner obeys ``::command::`` at the start of a line and
   ``##[command]`` anywhere: the colon and the hash are written as Python escapes there.

:class:`Markdown` marks text that has been through here (or that the project wrote itself); the templates print anything
else as a code span.
"""

from __future__ import annotations

import html
import re
import shlex
import textwrap
import unicodedata

NAME_LIMIT = 80
PROSE_LIMIT = 400
BLOCK_LIMIT = 1200
BLOCK_LINES = 20
BLOCK_WIDTH = 110
COMMAND_LIMIT = 1000

_ELLIPSIS = "…"
_LONGEST_BACKTICK_RUN = 8
_MOST_COMBINING_MARKS = 3

# Without -P Python would import from the folder in which the reader pastes it, which may be a stranger's.
_MODULE_CALLS = (["python", "-P", "-m", "onnx_export_action"], ["python3", "-P", "-m", "onnx_export_action"])

# Text of these characters alone needs no treatment. Most names are such, and a report can hold a million of them.
# (Printable ASCII but for # ` | and the backslash, without outer spaces.)
_PLAIN = re.compile(r"""[!"$-\[\]-_a-{}~](?:[ !"$-\[\]-_a-{}~]*[!"$-\[\]-_a-{}~])?""")
_PRINTABLE_ASCII = re.compile(r"[ -~]*")
_LONG_BACKTICK_RUN = re.compile(f"`{{{_LONGEST_BACKTICK_RUN + 1},}}")
_BACKTICK_RUN = re.compile("`+")

# Unicode's Default_Ignorable_Code_Point and the blank Braille pattern: they count as printable and show nothing.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


class Markdown(str):
    """Markdown that is safe to print: written by this project, or made from untrusted text by this module."""

    __slots__ = ()


def visible(text: str, limit: int) -> str:
    """One line of at most ``limit`` characters, in which every character can be seen; longer text ends in an ellipsis.

    Not yet Markdown: the result may hold any printable character.
    """
    head = text[: limit + 1]
    shown = head if _PRINTABLE_ASCII.fullmatch(head) else _spell_out(head)
    shown = shown.replace("##[", "#\\x23[")
    return shown if len(shown) <= limit else shown[: limit - 1] + _ELLIPSIS


def code(text: str, limit: int = NAME_LIMIT) -> Markdown:
    """A code span for a table cell, a list item, a heading or a sentence.

    Empty text and text with outer spaces are shown in single quotes. A reader outside a table sees ``\\|`` for a pipe.
    """
    if len(text) <= limit and _PLAIN.fullmatch(text):
        return Markdown(f"`{text}`")
    shown = visible(text, limit)
    if shown != shown.strip() or not shown:
        shown = f"'{shown}'"
    shown = _without_long_backtick_runs(shown).replace("\\|", "\\\\x7c").replace("|", "\\|")
    fence = _fence(shown, shortest=1)
    padding = " " if "`" in (shown[0], shown[-1]) else ""
    span = f"{fence}{padding}{shown}{padding}{fence}"
    return Markdown(f"\u2068{span}\u2069" if _is_right_to_left(shown) else span)


def html_code(text: str, limit: int = NAME_LIMIT) -> Markdown:
    """A ``<code>`` element for places where Markdown is not read, such as ``<summary>``."""
    return Markdown(f"<code>{html.escape(visible(text, limit))}</code>")


def block(text: str) -> Markdown:
    """A fenced block for a message of several lines, wrapped to ``BLOCK_WIDTH`` columns.

    At most ``BLOCK_LIMIT`` characters and ``BLOCK_LINES`` lines; what is cut ends in an ellipsis.
    """
    head = text[: BLOCK_LIMIT + 1].expandtabs(4)
    lines = [part for line in head.splitlines() for part in _wrapped(visible(line.rstrip(), BLOCK_LIMIT))]
    if len(text) > BLOCK_LIMIT or len(lines) > BLOCK_LINES:
        lines = [*lines[: BLOCK_LINES - 1], _ELLIPSIS]
    return _fenced("\n".join(_not_a_workflow_command(line) for line in lines), "text")


def command(text: str) -> Markdown | None:
    """A fenced block with the command that reproduces a result, or None when it is not one of this project's commands.

    A result file of a stranger may name any command. It is split into words and quoted again, so that nothing in it is
    a shell's syntax any more, and only ``onnx-export`` and ``python -P -m onnx_export_action`` are
    offered for copying.
    """
    if visible(text, COMMAND_LIMIT) != text:
        return None
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    ours = words[:1] == ["onnx-export"] or words[:4] in _MODULE_CALLS
    return _fenced(_without_long_backtick_runs(shlex.join(words)), "sh") if ours else None


def _spell_out(text: str) -> str:
    shown: list[str] = []
    marks_in_a_row = 0
    for character in text:
        marks_in_a_row = marks_in_a_row + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        hidden = not character.isprintable() or _INVISIBLE.match(character)
        if hidden or marks_in_a_row > _MOST_COMBINING_MARKS:
            shown.append(character.encode("unicode_escape").decode("ascii"))
        else:
            shown.append(character)
    return "".join(shown)


def _is_right_to_left(text: str) -> bool:
    return not text.isascii() and any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in text)


def _without_long_backtick_runs(text: str) -> str:
    # cmark does not read a delimiter of more than 80 backticks, and a long run is nobody's name.
    return _LONG_BACKTICK_RUN.sub(lambda run: "\\x60" * len(run.group()), text)


def _fence(text: str, *, shortest: int) -> str:
    longest = max((len(run) for run in _BACKTICK_RUN.findall(text)), default=0)
    return "`" * max(shortest, longest + 1)


def _fenced(text: str, language: str) -> Markdown:
    fence = _fence(text, shortest=3)
    return Markdown(f"{fence}{language}\n{text}\n{fence}")


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(
        _without_long_backtick_runs(line), BLOCK_WIDTH, replace_whitespace=False, break_on_hyphens=False
    ) or [""]


def _not_a_workflow_command(line: str) -> str:
    return line.replace("::", "\\x3a:", 1) if line.lstrip().startswith("::") else line
