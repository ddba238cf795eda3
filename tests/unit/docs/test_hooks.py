"""The documentation, the hook manifest and the package name the same hooks and rules."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from onnx_export_hooks import start
from onnx_export_hooks.check_model_config import HOOK as MODEL
from onnx_export_hooks.rules import RULES, rules_of

ROOT = Path(__file__).parents[3]
MANIFEST = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
HOOKS = [hook["id"] for hook in MANIFEST]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    specification = importlib.util.spec_from_file_location("page_tool", ROOT / "tools" / "write_hooks_page.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_page_is_what_the_rules_say(tool: ModuleType) -> None:
    assert (ROOT / "docs" / "hooks.md").read_text() == tool.page(), "run python tools/write_hooks_page.py"


def test_the_page_has_every_hook_and_rule(tool: ModuleType) -> None:
    assert sorted(tool.HOOKS) == sorted(HOOKS)
    assert all(f"### {name}\n" in tool.page() for name in RULES)


def test_every_hook_is_a_command_of_the_package() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for hook in MANIFEST:
        module = hook["entry"].replace("-", "_")
        assert scripts[hook["entry"]] == f"onnx_export_hooks.start:{module}"
        assert callable(getattr(start, module))
        assert rules_of(hook["id"])


def test_pre_commit_gives_the_hook_every_file_it_is_for() -> None:
    import re

    from onnx_export_hooks.model_folder import MODEL_FILES

    pattern = next(hook["files"] for hook in MANIFEST if hook["id"] == MODEL.name)
    assert all(re.search(pattern, f"models/a/{name}") for name in MODEL_FILES)
    assert not re.search(pattern, "models/a/my_config.json")
