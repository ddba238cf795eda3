"""The HTML report: one page that holds all it needs, in which a stranger's words do nothing."""

from __future__ import annotations

import html.parser
import math
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from onnx_export_action.report.html import MOST_BYTES, render_html
from onnx_export_action.vocabulary.errors import ExportError
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

EXAMPLES = Path(__file__).parents[3] / "docs" / "example-results"
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


def test_a_failure_is_told_and_drawn() -> None:
    page = Page(render_html([broken()]))
    for words in ("0 of 1 exports proven", "mask", "batch_size 1 sentiment", "sentiment.2", "sentiment.repro"):
        assert words in page.text
    # The layers' curve, the map of margins and the histogram.
    assert sum(tag == "svg" for tag, _ in page.elements) == 3
    assert "absolute error; the line is atol" in page.text


def test_the_page_needs_nothing_from_anywhere_and_says_so() -> None:
    text = render_html([broken()], base=[target()])
    page = Page(text)
    assert not {tag for tag, _ in page.elements} & {"script", "img", "link", "iframe", "image", "foreignobject", "a"}
    policy = next(a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text))
    assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"url\((?!#)", text)


def test_a_strangers_words_are_shown_and_do_nothing() -> None:
    text = render_html([broken(NASTY)], base=[broken(NASTY), target(NASTY)])
    page = Page(text)
    assert not {tag for tag, _ in page.elements} & {"script", "img"}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.text
    assert "\u202e" not in text
    assert "\x00" not in text


def test_a_base_stands_beside_it() -> None:
    page = Page(render_html([target(files=[file(bytes=5_000_000)])], base=[target()]))
    assert "Compared with the base" in page.text
    assert "size 90.9 MB → 5.0 MB" in page.text
    assert all(words in page.text for words in ("now", "base", "size in MB"))


def test_both_colour_schemes_are_there() -> None:
    text = render_html([target()])
    assert "prefers-color-scheme: dark" in text
    assert "fill: currentColor" in text


def test_a_thousand_files_stay_below_two_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnx_export_action.report.html._MOST_DRAWN", 2)
    many = [broken(f"target-{number}") for number in range(1000)]
    text = render_html(many)
    assert len(text.encode()) < MOST_BYTES
    assert "and 500 more files" in text


def test_charts_go_first_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnx_export_action.report.html.MOST_BYTES", 30_000)
    text = render_html([broken()])
    assert len(text) < 30_000
    assert "sentiment.2" in text
    assert "<svg" not in text


@pytest.mark.parametrize("name", ["sentiment", "writer-wrong"])
def test_real_results_are_drawn_alike_every_time(name: str) -> None:
    result = read_result(EXAMPLES / f"{name}.json")
    assert render_html([result]) == render_html([result])


def test_without_matplotlib_the_user_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ExportError, match="matplotlib") as raised:
        render_html([broken()])
    assert raised.value.hint == "pip install 'onnx-export-action[html]'"


def test_no_result_is_a_page_too() -> None:
    none: list[Any] = []
    assert "0 of 0 exports proven" in render_html(none)
