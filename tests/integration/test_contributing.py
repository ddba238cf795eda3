"""docs/contributing.md, performed: each section's steps on a scratch copy of the repository, then its commands."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "contributing.md"
COPIED = ("src", "hooks", "tools", "docs", "tests", "examples", ".github", "action.yml", "README.md", "pyproject.toml")
COPIED_TOO = (".pre-commit-hooks.yaml", "constraints.txt", "Dockerfile", "Makefile")
STEP = re.compile(
    r"^(?:(?P<verb>Write|Append to) `(?P<path>[^`]+)`|In `(?P<inside>[^`]+)`, above `(?P<mark>[^`]+)`)[^\n]*:\n\n"
    r"```\w+\n(?P<content>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
COMMANDS = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Section:
    """A heading with steps below it."""

    title: str
    text: str

    def perform(self, root: Path) -> None:
        for step in STEP.finditer(self.text):
            path = root / (step["path"] or step["inside"])
            if step["verb"] == "Write":
                assert not path.exists(), f"{path} is there already: choose another example"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(step["content"])
            elif step["verb"] == "Append to":
                path.write_text(f"{path.read_text()}\n\n{step['content']}")
            else:
                text = path.read_text()
                assert text.count(step["mark"]) == 1, f"{path} has {text.count(step['mark'])} of {step['mark']!r}"
                path.write_text(text.replace(step["mark"], step["content"] + step["mark"]))

    @property
    def commands(self) -> list[list[str]]:
        return [shlex.split(line) for block in COMMANDS.findall(self.text) for line in block.splitlines()]


def sections() -> list[Section]:
    _, *parts = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [Section(*part.split("\n", 1)) for part in parts]


def blocks(text: str) -> int:
    return len(re.findall(r"^```(?:python|json|yaml)$", text, re.MULTILINE))


PERFORMED = [section for section in sections() if section.commands]


def test_no_block_is_overlooked() -> None:
    assert [section.title for section in sections() if blocks(section.text) and not section.commands] == []
    for section in PERFORMED:
        assert len(list(STEP.finditer(section.text))) == blocks(section.text), section.title
    titles = {section.title for section in PERFORMED}
    assert titles == {"A model type", "A task", "A variant", "A rule of a hook", "An input of the action"}


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "artifacts")
    for name in (*COPIED, *COPIED_TOO):
        source = ROOT / name
        copy = tmp_path / name
        shutil.copytree(source, copy, ignore=ignored) if source.is_dir() else shutil.copy(source, copy)
    return tmp_path


def run(words: list[str], root: Path) -> subprocess.CompletedProcess[str]:
    python = [sys.executable, "-P"]
    started = {"onnx-export": [*python, "-m", "onnx_export_action"], "python": [sys.executable]}
    return subprocess.run(
        [*started.get(words[0], words[:1]), *words[1:]],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root / 'src'}:{root / 'hooks'}:{root}", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("section", PERFORMED, ids=lambda section: section.title)
def test_the_steps_work_and_are_needed(section: Section, scratch: Path) -> None:
    *_, last = section.commands
    assert run(last, scratch).returncode != 0, "it passes before anything was added"
    section.perform(scratch)
    for command in section.commands:
        outcome = run(command, scratch)
        assert outcome.returncode == 0, f"{command}\n{outcome.stdout}\n{outcome.stderr}"


def test_the_paths_of_the_page_are_there() -> None:
    named = set(re.findall(r"`((?:src|hooks|tests|tools|docs)/[^`\n]*)`", PAGE.read_text(encoding="utf-8")))
    written = {step["path"] for section in PERFORMED for step in STEP.finditer(section.text) if step["verb"] == "Write"}
    patterns = {name for name in named if "/a/" in name}
    missing = [name for name in named - written - patterns if not (ROOT / name).exists()]
    assert missing == []
