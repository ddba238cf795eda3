"""The HTML report: one page that holds all it needs, in which a stranger's words do nothing."""

from __future__ import annotations

import base64
import hashlib
import html
import html.parser
import math
import re
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from onnx_export_action.report import render_markdown
from onnx_export_action.report.html.rendering import MOST_BYTES, render_html
from onnx_export_action.vocabulary.results import (
    CaseOutputResult,
    Cause,
    Failure,
    LayerResult,
    Stage,
    TargetResult,
    Verdict,
    read_result,
)
from tests.unit.report.samples import case, file, output, target

EXAMPLES = Path(__file__).parents[4] / "docs" / "example-results"
NASTY = '<script>alert(1)</script>"><img src=x onerror=alert(2)>$\\frac{1}{0}$ ]]> & \u202e\x00'


class Page(html.parser.HTMLParser):
    """Elements with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def broken(name: str = "sentiment") -> TargetResult:
    failure = Failure(
        stage=Stage.VALIDATE,
        message=f"{name} differs",
        hint=f"hint {name}",
        cause=Cause.MASK,
        trigger=f"batch_size 1 {name}",
        layers=[LayerResult(name=f"{name}.{n}", error=e) for n, e in enumerate((0.0, 1e-7, 0.3, None, math.inf))],
        first_divergent_layer=f"{name}.2",
        repro=f"{name}.repro",
    )
    outputs = [output(name, error_decades=[5, *[0] * 5, 7, *[0] * 10])]
    cases = [
        case(n, Verdict.FAIL, outputs=[CaseOutputResult(name=name, margin=margin)])
        for n, margin in enumerate((0.1, 7.0, math.inf, math.nan, None))
    ]
    made = file(Verdict.FAIL, path=f"onnx/{name}", failure=failure, outputs=outputs, cases=cases, operators={name: 3})
    return target(name, Verdict.FAIL, files=[made])


def page_of(*results: TargetResult, base: list[TargetResult] | None = None) -> Page:
    return Page(render_html(list(results), base=base or []))


def test_a_failure_is_told_and_drawn() -> None:
    page = page_of(broken())
    for words in ("the ONNX file differs", "mask", "batch_size 1 sentiment", "sentiment.2", "sentiment.repro"):
        assert words in page.text
    charts = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert [one["class"] for one in charts].count("chart") == 1, "the layers' curve"
    assert [one["class"] for one in charts].count("bar") > 5, "what of the tolerance each case used"
    assert "sentiment.1: 1.0e-07" in page.text, "the values of a layer, where a pointer rests on it"


def test_what_is_not_proven_comes_first() -> None:
    text = render_html([target("good"), broken("bad")])
    assert text.index("What is wrong") < text.index("What is not proven") < text.index("<h2>Files<")
    assert text.index('data-words="bad') < text.index('data-words="good')


# The table of the files and the details are laid out otherwise; everything else must be the same words.
ELSEWHERE = re.compile("[▓░]+\u00a0|[|#>*`-]|\\s+")


@pytest.mark.parametrize("name", ["sentiment", "writer-wrong", "sentiment-changed"])
def test_everything_that_the_markdown_says_is_there(name: str) -> None:
    results, base = [read_result(EXAMPLES / f"{name}.json"), broken()], [read_result(EXAMPLES / "sentiment.json")]
    page = ELSEWHERE.sub("", page_of(*results, base=base).text)
    markdown = render_markdown(results, base=base)
    # A heading stands above a line of dashes; one of a column in which nothing was measured is left out.
    written = markdown.splitlines()
    said = [
        line
        for line, below in pairwise([*written, ""])
        if not line.startswith(("|-", "```", "<")) and below[:2] != "|-"
    ]
    lines = [ELSEWHERE.sub("", html.unescape(line)) for line in said]
    # The report wraps blocks of prose, and a table's cells stand apart here.
    missing = [line for line, written in zip(lines, said, strict=True) if line not in page and "|" not in written]
    assert missing == []
    cells = {ELSEWHERE.sub("", cell) for written in said for cell in written.split(" | ")}
    assert {cell for cell in cells if cell not in page and "×" not in cell} <= {"–", ""}


def test_the_page_needs_nothing_from_anywhere_and_says_so() -> None:
    text = render_html([broken()], base=[target()])
    page = Page(text)
    assert not {tag for tag, _ in page.elements} & {
        "img",
        "link",
        "iframe",
        "image",
        "foreignobject",
        "object",
        "embed",
    }
    assert all((a["href"] or "").startswith("#") for tag, a in page.elements if tag == "a")
    assert not re.findall(r"https?://", text)
    assert "url(" not in text


def test_the_policy_allows_the_own_style_and_script_and_nothing_else() -> None:
    text = render_html([broken()])
    page = Page(text)
    policy = next(a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.split(" ", 1) for rule in str(policy).split("; "))
    for kind in ("style", "script"):
        (content,) = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules.pop(f"{kind}-src") == f"'sha256-{digest}'"
    assert set(rules.values()) == {"'none'"}
    assert not [attributes for _, attributes in page.elements if "style" in attributes]


def test_a_strangers_words_are_shown_and_do_nothing() -> None:
    text = render_html([broken(NASTY)], base=[broken(NASTY), target(NASTY)])
    page = Page(text)
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert "img" not in {tag for tag, _ in page.elements}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.text
    assert "\u202e" not in text
    assert "\x00" not in text


def test_a_base_stands_beside_it() -> None:
    page = page_of(target(files=[file(bytes=5_000_000)]), base=[target()])
    assert "Compared with the base" in page.text
    assert "size 90.9 MB → 5.0 MB" in page.text.replace("\u00a0", " ")


def test_size_stands_beside_quality_where_there_are_variants() -> None:
    files = [
        file(variant=name, path=f"onnx/model_{name}.onnx", bytes=size, outputs=[output(sqnr_db=decibels)])
        for name, size, decibels in (("fp16", 10**7, 50.0), ("q8", 5 * 10**6, 20.0), ("q4", 4 * 10**6, 10.0))
    ]
    text = render_html([target(files=[file(), *files])])
    assert "q4: 4 MB, 10 dB" in text
    assert "size beside quality" not in render_html([target()])


def test_both_colour_schemes_are_there() -> None:
    assert "prefers-color-scheme: dark" in render_html([target()])


@pytest.mark.parametrize("kind", ["failed", "proven"])
def test_a_thousand_files_stay_below_half_a_megabyte_and_two_seconds(kind: str) -> None:
    cases = [case(number) for number in range(30)]
    outputs = [output(f"output-{number}") for number in range(20)]
    many = [
        broken(f"target-{number}") if kind == "failed" else target(files=[file(cases=cases, outputs=outputs)])
        for number in range(1000)
    ]
    started = time.process_time()
    text = render_html(many)
    assert time.process_time() - started < 2
    assert len(text.encode()) < MOST_BYTES
    assert re.search(r"and \d+ more files, for which there is no room here", text)


def test_details_go_first_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnx_export_action.report.html.rendering.MOST_BYTES", 45_000)
    text = render_html([target(str(number)) for number in range(20)])
    assert len(text.encode()) < 45_000
    assert "20 of 20 exports proven" in text
    assert "for whose details there is no room" in text


@pytest.mark.parametrize("name", ["sentiment", "writer-wrong"])
def test_real_results_are_drawn_alike_every_time(name: str) -> None:
    result = read_result(EXAMPLES / f"{name}.json")
    assert render_html([result]) == render_html([result])


def test_no_result_is_a_page_too() -> None:
    none: list[Any] = []
    assert "Nothing ran" in render_html(none)
