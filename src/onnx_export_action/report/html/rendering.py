"""The report as one HTML page that holds all it needs: nothing from the network.

Untrusted words are made visible (:mod:`.escape`) and escaped by the template; a content security policy allows the
page's own style and script, by their hashes, and nothing else, in case one slips through.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import typing
from collections.abc import Sequence
from importlib import resources

from markupsafe import Markup

from onnx_export_action.report.html.page import PageView, page_view
from onnx_export_action.vocabulary.results import TargetResult

if typing.TYPE_CHECKING:
    import jinja2

MOST_BYTES = 500_000
_FRAME_BYTES = 40_000  # style, script, and what is not counted piece by piece


def render_html(results: Sequence[TargetResult], *, base: Sequence[TargetResult] = ()) -> str:
    """One self-contained page of less than 500 kB; details of the files that ended well are left out first."""
    room = MOST_BYTES - _FRAME_BYTES
    while True:
        text = _render(page_view(results, base, room))
        if len(text.encode()) < MOST_BYTES or not room:
            return text
        room = room * 3 // 4 if room > _FRAME_BYTES else 0


def _render(page: PageView) -> str:
    return (
        _template().render(page=page, style=_asset("report.css"), script=_asset("report.js"), policy=_policy()) + "\n"
    )


@functools.cache
def _asset(name: str) -> Markup:
    """The page's own style or script, as it stands in the package."""
    return Markup((resources.files("onnx_export_action.report") / "templates" / name).read_text(encoding="utf-8"))  # noqa: S704


@functools.cache
def _policy() -> str:
    hashes = {
        kind: base64.b64encode(hashlib.sha256(_asset(name).encode()).digest()).decode()
        for kind, name in (("style", "report.css"), ("script", "report.js"))
    }
    allowed = "; ".join(f"{kind}-src 'sha256-{digest}'" for kind, digest in hashes.items())
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


@functools.cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("onnx_export_action", "report/templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("report.html.j2")
