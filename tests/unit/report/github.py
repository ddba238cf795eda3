"""What a reader of a pull request would see: Markdown put through real parsers, and the HTML read back."""

from __future__ import annotations

import dataclasses
import html.parser
import importlib.util

import markdown_it

# What the report's own templates use. Links, images and everything else are somebody else's doing.
OWN_TAGS = {
    *("h3", "h4", "p", "ul", "li", "code", "pre", "strong", "em", "details", "summary"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
OWN_ATTRIBUTES = {"align", "style", "class", "lang"}
ISOLATES = str.maketrans("", "", "\u2068\u2069")


@dataclasses.dataclass
class Cell:
    code: list[str] = dataclasses.field(default_factory=list)
    text: str = ""


class Page(html.parser.HTMLParser):
    """The tags in order, the text outside and inside of code, and the cells of every table."""

    def __init__(self, text: str, parser: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.foreign: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.code: list[str] = []
        self.tables: list[list[list[Cell]]] = []
        self.feed(PARSERS[parser](text))
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        self.foreign += [tag] if tag not in OWN_TAGS else []
        self.foreign += [name for name, _ in attrs if name not in OWN_ATTRIBUTES]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append(Cell())
        elif tag == "code":
            self.code.append("")
            if self._cell is not None:
                self._cell.code.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "code" in self.open:
            self.code[-1] += data
            if self._cell is not None:
                self._cell.code[-1] += data
            return
        self.text += data.translate(ISOLATES)
        if self._cell is not None:
            self._cell.text += data.translate(ISOLATES)

    def handle_comment(self, data: str) -> None:
        self.foreign.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.foreign.append(decl)

    def handle_pi(self, data: str) -> None:
        self.foreign.append(data)

    @property
    def _cell(self) -> Cell | None:
        in_cell = "td" in self.open or "th" in self.open
        return self.tables[-1][-1][-1] if in_cell else None


def _markdown_it(text: str) -> str:
    return str(markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))


def _cmark_gfm(text: str) -> str:
    import cmarkgfm

    return str(cmarkgfm.github_flavored_markdown_to_html(text, cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE))


PARSERS = {"markdown-it": _markdown_it}
if importlib.util.find_spec("cmarkgfm") is not None:
    # GitHub's own parser, with its autolinks: a second opinion where it is installed.
    PARSERS["cmark-gfm"] = _cmark_gfm
