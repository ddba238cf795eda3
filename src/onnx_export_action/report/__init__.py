"""Results as Markdown for a pull request, and as JSON.

In order: :mod:`verdicts` says how each export ended, :mod:`compare` what changed against a base, :mod:`failures` and
:mod:`views` turn results into rows and sentences with the numbers of :mod:`figures` and the untrusted words of
:mod:`escape`, and :mod:`render` prints them through ``templates/`` in the room there is.
"""

from onnx_export_action.report.render import render_json, render_markdown

__all__ = ["render_json", "render_markdown"]
