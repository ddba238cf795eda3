"""What the README tells a newcomer to type works as it stands, in the order in which it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CheckpointFactory
from tests.hub_server import HubServer
from tests.models import tiny_checkpoint

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def documented_commands() -> list[str]:
    lines = [line.split("#")[0].strip() for block in blocks("console") for line in block.splitlines()]
    return [line for line in lines if line.startswith(("onnx-export", "python -P -m onnx_export_action"))]


def publish_commands() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines() if line.startswith("onnx-export publish")]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, checkpoint: CheckpointFactory) -> Path:
    """A user's repository as the README's configuration describes it."""
    root = tmp_path_factory.mktemp("repository")
    (root / ".git").mkdir()
    (root / "onnx-export.yaml").write_text(next(block for block in blocks("yaml") if "targets:" in block))
    tiny_checkpoint("distilbert", root / "models" / "sentiment", task="text-classification")
    tiny_checkpoint("gpt2", root / "models" / "generator", task="text-generation")
    for weights in (root / "models" / "generator").glob("*.safetensors"):
        weights.unlink()
    tiny_checkpoint("bert", root / "models" / "encoder", task="feature-extraction")
    (root / "data").mkdir()
    (root / "data" / "samples.jsonl").write_text('{"text": "We loved every minute."}\n{"text": "No, never again!"}\n')
    return root


def run(command: list[str], repository: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=300, check=False)


def test_the_readme_documents_every_command() -> None:
    from onnx_export_action.entrypoints.command_line.cli import main

    documented = {shlex.split(command)[1] for command in documented_commands() if command.startswith("onnx-export")}
    documented |= {shlex.split(command)[1] for command in publish_commands()}
    assert documented >= set(main.commands) - {"action"}


def test_every_documented_command_works_in_order(repository: Path) -> None:
    commands = documented_commands()
    assert len(commands) >= 8
    scripts = Path(sys.executable).parent
    for command in commands:
        words = shlex.split(command)
        words[0] = sys.executable if words[0] == "python" else str(scripts / words[0])
        finished = run(words, repository)
        assert finished.returncode == 0, f"{command}\n{finished.stdout[-2000:]}\n{finished.stderr[-2000:]}"
    for produced in (
        "artifacts/sentiment/onnx/model.onnx",
        "artifacts/sentiment/manifest.json",
        "artifacts/sentiment.result.json",
        "artifacts/generator/onnx/model.onnx",
        "build/sentiment/onnx/model.onnx",
        "build/report.md",
        "build/legacy/model.onnx",
    ):
        assert (repository / produced).is_file(), produced
    with HubServer() as hub:
        hub.add_account("hf_writer", "writer", "org/sentiment-onnx")
        environment = hub.environment(repository / "home", token="hf_writer")
        for command in publish_commands():
            words = [str(scripts / "onnx-export"), *shlex.split(command)[1:]]
            done = subprocess.run(words, cwd=repository, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{command}\n{done.stderr[-2000:]}"
        published = hub.repositories["org/sentiment-onnx"].find("main")
    assert published is not None
    assert published.files["onnx/model.onnx"] == (repository / "artifacts/sentiment/onnx/model.onnx").read_bytes()


def test_the_library_example_works(repository: Path) -> None:
    (code,) = blocks("python")
    finished = run([sys.executable, "-c", code], repository)
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert (repository / "model.onnx").is_file()


def test_the_two_commands_are_those_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in re.findall(r"`?make ([a-z-]+)", README):
        assert re.search(rf"^{command}:", makefile, re.MULTILINE), command
