"""Draws ``docs/report.png``: the example report as a reader of the pull request sees it.

Needs Chromium (``apt-get install chromium fonts-noto-color-emoji``) and markdown-it-py.
"""

import subprocess
import tempfile
from pathlib import Path

from markdown_it import MarkdownIt

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


def main() -> None:
    """Render the Markdown to HTML, and the HTML to a picture."""
    markdown = (DOCS / "report-example.md").read_text(encoding="utf-8").split("\n---\n", 1)[1]
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
                f"--screenshot={DOCS / 'report.png'}",
                page.as_uri(),
            ],
            check=True,
            capture_output=True,
        )


if __name__ == "__main__":
    main()
