"""Draws the pictures of the README: reports as a reader of the pull request sees them.

Needs Chromium (``apt-get install chromium fonts-noto-color-emoji``) and markdown-it-py: python docs/make_picture.py
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from markdown_it import MarkdownIt
from PIL import Image, ImageChops

from onnx_export_action.report.render import render_markdown
from onnx_export_action.vocabulary.results import TargetResult, read_result

DOCS = Path(__file__).parent
STYLE = """
body { font: 14px/1.5 -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; color: #1f2328;
       margin: 24px; width: 1240px; }
table { border-collapse: collapse; margin: 12px 0; font-size: 13px; }
th, td { border: 1px solid #d1d9e0; padding: 5px 10px; }
tr:nth-child(2n) { background: #f6f8fa; }
code, pre { font: 12px ui-monospace, "DejaVu Sans Mono", monospace; background: #eff1f3; border-radius: 6px;
            padding: 2px 5px; }
pre { padding: 12px; background: #f6f8fa; } pre code { background: none; padding: 0; }
summary { margin: 6px 0; }
"""


# Results of real runs: the name of a picture, what the pull request gave, what its base gave.
COMMENTS = (
    ("comment-pass", ("sentiment", "writer"), ()),
    ("comment-failure", ("sentiment", "writer-wrong"), ()),
    ("comment-regression", ("sentiment-changed", "writer"), ("sentiment", "writer")),
)


def main() -> None:
    """Draw the example report, and the comment for a pass, a failure and a regression."""
    draw((DOCS / "report-example.md").read_text(encoding="utf-8").split("\n---\n", 1)[1], DOCS / "report.png")
    for name, results, base in COMMENTS:
        markdown = render_markdown(_results(results), base=_results(base))
        draw(f"**github-actions** bot commented\n\n{markdown}", DOCS / f"{name}.png")


def _results(names: tuple[str, ...]) -> list[TargetResult]:
    return [read_result(DOCS / "example-results" / f"{name}.json") for name in names]


def draw(markdown: str, picture: Path) -> None:
    """Render Markdown to HTML, the HTML to a picture, and cut off what is empty below."""
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{body}", encoding="utf-8")
        subprocess.run(
            [
                "chromium",
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--hide-scrollbars",
                "--window-size=1300,1000",
                f"--user-data-dir={folder}/profile",
                f"--screenshot={picture}",
                page.as_uri(),
            ],
            check=True,
            capture_output=True,
        )
    with Image.open(picture) as drawn:
        whole = drawn.convert("RGB")
    _, _, _, bottom = ImageChops.difference(whole, Image.new("RGB", whole.size, "white")).getbbox() or (0, 0, 0, 0)
    whole.crop((0, 0, whole.width, min(whole.height, bottom + 24))).save(picture, optimize=True)


if __name__ == "__main__":
    main()
