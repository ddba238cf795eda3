"""The HTML report as a reader meets it: in headless Chromium, at three widths, with pointer and keyboard.

``make browser-test``; Chromium is the system's (``apt-get install chromium``), or the one that ``CHROMIUM`` names.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from onnx_export_action.report.html.rendering import render_html
from onnx_export_action.vocabulary.results import TargetResult, Verdict, read_result
from tests.unit.report.samples import file, output, target
from tests.unit.report.test_html import EXAMPLES, NASTY, broken

WIDTHS = (390, 768, 1024, 1280, 1440, 1600)
SCHEMES = ("light", "dark")

# Whether any word stands on two lines, as far as a browser tells: words are what no reader would break.
BROKEN_WORDS = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.querySelector("body"), NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.parentElement.checkVisibility() || node.parentElement.closest("script, style, svg, option")) continue;
    for (const match of node.data.matchAll(/[A-Za-z0-9]{2,}/g)) {
      const range = document.createRange();
      range.setStart(node, match.index);
      range.setEnd(node, match.index + match[0].length);
      const lines = new Set([...range.getClientRects()].filter((box) => box.width).map((box) => Math.round(box.top)));
      if (lines.size > 1) found.push(match[0]);
    }
  }
  return found;
}"""
WIDER_THAN_THE_PAGE = """() => [...document.querySelectorAll(".wide")]
  .filter((one) => one.scrollWidth > one.clientWidth + 1)
  .map((one) => `${one.innerText.slice(0, 60)}: ${one.scrollWidth} of ${one.clientWidth}`)"""
OVERLAPPING = """() => {
  const texts = [...document.querySelectorAll("svg.chart text")]
    .map((one) => [one.textContent, one.getBoundingClientRect()]);
  const meets = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 2 && b.top < a.bottom - 2;
  const after = (n, box) => texts.slice(n + 1).filter(([, other]) => meets(box, other));
  return texts.flatMap(([name, box], n) => after(n, box).map(([other]) => `${name} ${other}`));
}"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "install Chromium, or name it in CHROMIUM"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


def several() -> list[TargetResult]:
    variants = [
        file(variant=name, path=f"onnx/model_{name}.onnx", bytes=size, outputs=[output(sqnr_db=decibels)])
        for name, size, decibels in (("fp16", 45 * 10**6, 57.0), ("bf16", 45 * 10**6, 46.0), ("q4", 54 * 10**6, 10.7))
    ]
    return [
        *(read_result(EXAMPLES / f"{name}.json") for name in ("sentiment", "writer", "writer-wrong")),
        broken("classifier-of-intents"),
        target("search", files=[file(), *variants]),
    ]


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_html(several(), base=[read_result(EXAMPLES / "sentiment-changed.json")]), encoding="utf-8")
    return path


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    with browser.new_page(viewport={"width": 1600, "height": 1000}) as opened:
        opened.goto(report.as_uri())
        yield opened


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_the_width_and_breaks_no_word(width: int, scheme: str, browser: Browser, report: Path) -> None:
    with browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme) as page:
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(report.as_uri())
        page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert page.evaluate(WIDER_THAN_THE_PAGE) == []
        assert page.evaluate(BROKEN_WORDS) == []
        assert page.evaluate(OVERLAPPING) == []
        assert errors == []
        # Enough contrast to read: WCAG's 4.5 between the words and what lies behind them.
        assert page.evaluate(CONTRAST) >= 4.5


CONTRAST = """() => {
  const light = (color) => {
    const linear = (c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = color.match(/[0-9.]+/g).map((part) => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    const color = getComputedStyle(one).backgroundColor;
    return color === "rgba(0, 0, 0, 0)" && one.parentElement ? behind(one.parentElement) : color;
  };
  return Math.min(...[...document.querySelectorAll("td, th, p, li, h1, h2, h3, code, a, label")].map((one) => {
    const [first, second] = [light(getComputedStyle(one).color), light(behind(one))].sort((a, b) => b - a);
    return (first + 0.05) / (second + 0.05);
  }));
}"""


def shown(page: Page, column: int = 1) -> list[str]:
    return page.eval_on_selector_all(
        "#all-files tbody tr:not([hidden])", f"rows => rows.map((row) => row.cells[{column}].textContent.trim())"
    )


def test_the_table_is_filtered_by_words_and_by_state(page: Page) -> None:
    everything = len(shown(page))
    page.fill("#find", "SEARCH fp16")
    assert shown(page, 3) == ["fp16"]
    assert page.inner_text("#count") == f"1 of {everything}"
    page.fill("#find", "")
    page.select_option("#state", "failed")
    assert set(shown(page)) == {"writer", "classifier-of-intents"}
    page.select_option("#state", "")
    assert len(shown(page)) == everything


def test_the_table_is_sorted_by_numbers_and_by_words(page: Page) -> None:
    heading = page.get_by_role("button", name="Size")
    heading.click()
    sizes = [float(cell.split()[0]) for cell in shown(page, 9) if cell.strip() not in ("", "–")]
    assert sizes == sorted(sizes)
    assert heading.locator("..").get_attribute("aria-sort") == "ascending"
    heading.click()
    assert heading.locator("..").get_attribute("aria-sort") == "descending"
    page.select_option("#sort", label="Target")
    assert shown(page) == sorted(shown(page), key=str.casefold)
    page.select_option("#sort", label="as reported")
    assert shown(page)[0] in ("writer", "classifier-of-intents")


def test_what_was_not_measured_stands_last(page: Page) -> None:
    heading = page.get_by_role("button", name="One call")
    for _ in range(2):
        heading.click()
        cells = [cell == "–" for cell in shown(page, 10)]
        assert cells == sorted(cells)


def test_it_is_used_with_the_keyboard_alone(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("search")
    assert set(shown(page)) == {"search"}
    page.keyboard.press("Escape")
    assert len(set(shown(page))) > 1
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.tagName"))
    assert {"A", "INPUT", "SELECT", "BUTTON", "SUMMARY"} <= reached
    page.focus("details:not([open]) summary")
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.parentElement.open")


def test_every_mark_of_a_chart_says_its_value(page: Page) -> None:
    assert page.eval_on_selector_all("svg", "all => all.every((one) => one.querySelector('title'))")
    titles = page.eval_on_selector_all("svg.chart circle", "all => all.map((one) => one.textContent)")
    assert "q4: 54 MB, 10.7 dB" in titles


def test_a_strangers_words_run_nothing(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "nasty.html"
    path.write_text(render_html([broken(NASTY), target(NASTY, Verdict.PASS)], base=[broken(NASTY)]), encoding="utf-8")
    with browser.new_page() as page:
        dialogs: list[str] = []
        asked: list[str] = []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert dialogs == []
        assert asked == [path.as_uri()]


def test_without_script_all_of_it_is_there(browser: Browser, report: Path) -> None:
    with browser.new_context(java_script_enabled=False) as context, context.new_page() as page:
        page.goto(report.as_uri())
        assert not page.locator(".filter").is_visible()
        assert page.locator("#all-files tbody tr").count() == 8
        assert page.locator("#failures article").count() == 2
