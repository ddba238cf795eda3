"""The example in the documentation is what the report really says.

To write it again: ``python -m tests.unit.docs.test_report_example``.
"""

from __future__ import annotations

from pathlib import Path

from onnx_export_action.report import render_markdown
from onnx_export_action.vocabulary.results import read_result
from tests.unit.report.github import OWN_TAGS, Page

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "docs" / "report-example.md"
RESULTS = [ROOT / "tests" / "data" / "report" / f"{name}.json" for name in ("sentences", "generator", "sentiment")]
INTRODUCTION = """# What the report looks like

This is the comment for a pull request with three targets, one of which is wrong: made from the results in
`tests/data/report/` by `python -m tests.unit.docs.test_report_example`.

---

"""


def example() -> str:
    return INTRODUCTION + render_markdown([read_result(path) for path in RESULTS])


def test_the_documented_report_is_the_real_one() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == example()


def test_the_example_is_plain_markdown() -> None:
    page = Page(example(), "markdown-it")
    assert set(page.tags) <= OWN_TAGS | {"h1", "hr"}
    assert "the ONNX file differs from PyTorch (2 of 3 exports proven)" in page.text


if __name__ == "__main__":
    EXAMPLE.write_text(example(), encoding="utf-8")
