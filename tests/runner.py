"""A runner of GitHub Actions for one step: reads action.yml, starts the entry point as it does, collects what is left.

As in https://docs.github.com/actions/reference/workflows-and-actions/metadata-syntax and the runner's own source:
inputs become ``INPUT_<NAME>`` with hyphens kept, files take outputs, summary and environment, the event lies in a file.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
SCRIPT = Path(sys.executable).with_name("onnx-export")
_COMMAND = re.compile(r"::([a-z-]+)(?: ([^:]*(?::(?!:)[^:]*)*))?::(.*)")
_SECONDS = 200


@dataclass(frozen=True)
class Command:
    """A workflow command that the runner obeyed."""

    name: str
    properties: dict[str, str]
    message: str


@dataclass
class Step:
    """What one step left behind."""

    code: int
    log: str
    outputs: dict[str, str]
    summary: str
    commands: list[Command]
    environment: str = ""

    def annotations(self, level: str) -> list[Command]:
        return [command for command in self.commands if command.name == level]


@dataclass
class Runner:
    """Runs the action in ``workspace``; ``server`` is GitHub's API, where the step needs one.

    ``replaced`` names other paths for files of the runner, by the variable that holds them.
    """

    workspace: Path
    files: Path
    api_url: str = "http://127.0.0.1:9/api/v3"
    token: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    replaced: dict[str, str] = field(default_factory=dict)

    def run(
        self,
        event: str = "push",
        payload: Mapping[str, Any] | None = None,
        *,
        actor: str = "someone",
        run_id: int = 1,
        **inputs: str,
    ) -> Step:
        """One step with ``inputs``, hyphens as underscores; what is not given has the default of action.yml."""
        place = self.files / uuid.uuid4().hex
        place.mkdir(parents=True)
        names = ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE")
        files = {name: place / name.lower() for name in names}
        for file in files.values():
            file.touch()
        (place / "event.json").write_text(json.dumps(payload or {}))
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "HOME": str(self.files),
            "LANG": "C.UTF-8",
            "HF_HUB_OFFLINE": "1",
            **self.environment,
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(place / "event.json"),
            "GITHUB_REPOSITORY": "team/models",
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_API_URL": self.api_url,
            "GITHUB_RUN_ID": str(run_id),
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_ACTOR": actor,
            **{name: str(path) for name, path in files.items()},
            **self.replaced,
            **self.inputs(inputs),
        }
        finished = subprocess.run(
            [SCRIPT, "action"],
            cwd=self.workspace,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
            check=False,
        )
        log = finished.stdout.decode()
        return Step(
            code=finished.returncode,
            log=log,
            outputs=outputs_in(files["GITHUB_OUTPUT"].read_text()),
            summary=files["GITHUB_STEP_SUMMARY"].read_text(),
            commands=commands_in(log),
            environment=files["GITHUB_ENV"].read_text() + files["GITHUB_PATH"].read_text(),
        )

    def inputs(self, given: Mapping[str, str]) -> dict[str, str]:
        declared = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
        values = {name: str(one.get("default", "")) for name, one in declared.items()}
        values |= {name.replace("_", "-"): value for name, value in given.items()}
        return {
            f"INPUT_{name.replace(' ', '_').upper()}": value.replace("${{ github.token }}", self.token)
            for name, value in values.items()
        }


def outputs_in(text: str) -> dict[str, str]:
    """The outputs in the format ``NAME<<WORD``, lines, ``WORD``."""
    outputs, lines = {}, iter(text.split("\n"))
    for line in lines:
        if not line:
            continue
        name, _, word = line.partition("<<")
        content = []
        for inner in lines:
            if inner == word:
                break
            content.append(inner)
        outputs[name] = "\n".join(content)
    return outputs


def commands_in(log: str) -> list[Command]:
    """Commands that the runner would obey: none between stop-commands and its word."""
    found, word = [], None
    for line in log.splitlines():
        text = line.strip()
        if word is not None:
            if text == f"::{word}::":
                word = None
            continue
        match = _COMMAND.fullmatch(text)
        if not match:
            continue
        if match[1] == "stop-commands":
            word = match[3]
            continue
        pairs = (pair.partition("=") for pair in (match[2] or "").split(",") if pair)
        found.append(Command(match[1], {key.strip(): _plain(value) for key, _, value in pairs}, _plain(match[3])))
    return found


def _plain(text: str) -> str:
    for escape, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escape, character)
    return text
