"""Which versions of the export packages are supported, and what is said where they are not here."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from onnx_export_action.vocabulary.supported import versions

ROOT = Path(__file__).parents[4]


def test_the_project_asks_for_the_versions_that_the_code_supports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = dict(re.findall(r"^([\w-]+)(.*)$", "\n".join(project["optional-dependencies"]["export"]), re.MULTILINE))
    assert {name: asked[name] for name in versions.NEEDED} == versions.NEEDED


@pytest.mark.parametrize(
    ("installed", "missing"),
    [
        ({"transformers": "4.57.3"}, ["transformers>=5.15,<6 (it is 4.57.3)"]),
        ({"transformers": "6.0.0.dev0"}, ["transformers>=5.15,<6 (it is 6.0.0.dev0)"]),
        ({"torch": "2.13.0+cpu", "transformers": "5.15.0rc1"}, []),
        ({"transformers": "5.14.1"}, ["transformers>=5.15,<6 (it is 5.14.1)"]),
        ({"torch": "2.12.1"}, ["torch>=2.13 (it is 2.12.1)"]),
        ({"onnxruntime": None, "onnx": "1.16.2"}, ["onnx>=1.17 (it is 1.16.2)", "onnxruntime"]),
        ({"torch": "2.20"}, []),
    ],
)
def test_what_is_missing_is_said_in_words(
    installed: dict[str, str | None], missing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"torch": "2.13.0", "transformers": "5.23.0", "onnx": "1.23.2", "onnxruntime": "1.31.1"} | installed
    monkeypatch.setattr(versions, "installed_version", here.get)
    assert versions.missing_packages() == missing
