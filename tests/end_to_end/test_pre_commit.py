"""The hooks as users have them: pre-commit and prek install them from this repository, apart from everything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from onnx_export_hooks.rules import VALIDATE_HOOK, rules_of
from tests.hooks_corpus.mistakes import MISTAKES, Mistake
from tests.hooks_corpus.repository import write_repository

ROOT = Path(__file__).parents[2]
HOOK_COUNT = 5  # validate-onnx-export is for the stages pre-push and manual
MAX_INSTALLED_MIB = 60
# One of each hook and rule; the unit tests have them all.
FIRST_OF_EACH_RULE = list({(mistake.hook, mistake.rule): mistake for mistake in reversed(MISTAKES)}.values())


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pre-commit and prek in an environment of the tests' own, and git with an author; prek installs with uv."""
    folder = tmp_path_factory.mktemp("tools")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    subprocess.run(
        [folder / "venv" / "bin" / "pip", "install", "--quiet", "pre-commit>=4", "prek", "uv"], check=True, timeout=300
    )
    return folder


@pytest.fixture(scope="module")
def environment(tools: Path) -> dict[str, str]:
    """Nothing of the tests' own Python reaches the hooks."""
    ours = ("PYTHONPATH", "VIRTUAL_ENV", "PRE_COMMIT", "PREK", "GIT_")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return inherited | {
        "PATH": f"{tools / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PRE_COMMIT_HOME": str(tools / "pre-commit"),
        "PREK_HOME": str(tools / "prek"),
        "GIT_AUTHOR_NAME": "test",
        "GIT_AUTHOR_EMAIL": "test@example.com",
        "GIT_COMMITTER_NAME": "test",
        "GIT_COMMITTER_EMAIL": "test@example.com",
    }


@pytest.fixture(scope="module")
def hooks(tools: Path, environment: dict[str, str]) -> Path:
    """A clone of this repository with what is not committed yet, so that the test is of the code at hand."""
    clone = tools / "hooks"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    for name in ("src", "hooks", "pyproject.toml", ".pre-commit-hooks.yaml"):
        source, copy = ROOT / name, clone / name
        if source.is_dir():
            shutil.rmtree(copy)
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, copy)
    subprocess.run(["git", "add", "--all"], cwd=clone, check=True)
    commit = ["git", "commit", "--quiet", "--allow-empty", "--no-verify", "-m", "at hand"]
    subprocess.run(commit, cwd=clone, check=True, env=environment)
    return clone


def run(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    subprocess.run(["git", "add", "--all", "--force"], cwd=folder, check=True)
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.parametrize("tool", ["pre-commit", "prek"])
def test_try_repo_passes_the_good_repository(
    tool: str, hooks: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    folder = write_repository(tmp_path / "repository")
    done = run([tool, "try-repo", str(hooks), "--all-files"], folder, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Passed") == HOOK_COUNT


@pytest.fixture(scope="module")
def good(hooks: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The good repository with a pre-commit configuration, its hooks installed."""
    folder = write_repository(tmp_path_factory.mktemp("good") / "repository")
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=hooks, capture_output=True, text=True, check=True)
    names = sorted({mistake.hook for mistake in MISTAKES} | {VALIDATE_HOOK})
    listed = "".join(f"  - id: {name}\n" for name in names)
    (folder / ".pre-commit-config.yaml").write_text(
        f"repos:\n- repo: {hooks}\n  rev: {revision.stdout.strip()}\n  hooks:\n{listed}"
    )
    done = run(["pre-commit", "run", "--all-files"], folder, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_installed_environment_is_small(good: Path, tools: Path) -> None:
    environments = list((tools / "pre-commit").glob("repo*/py_env-*"))
    sizes = [sum(file.lstat().st_size for file in one.rglob("*") if not file.is_symlink()) for one in environments]
    assert len(environments) == 1
    assert 5 < sizes[0] / 2**20 < MAX_INSTALLED_MIB


@pytest.mark.parametrize("mistake", FIRST_OF_EACH_RULE, ids=lambda mistake: f"{mistake.rule}: {mistake.name}")
def test_a_bad_repository_fails_with_its_rule(
    mistake: Mistake, good: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(good, tmp_path / "repository", symlinks=True))
    mistake.make(folder)
    done = run(["pre-commit", "run", mistake.hook, "--all-files"], folder, environment)
    assert done.returncode == 1, done.stdout + done.stderr
    path = mistake.place.partition(":")[0]
    assert f"[{mistake.rule}]" in done.stdout
    assert any(line.startswith(f"{path}:") for line in done.stdout.splitlines()), done.stdout


def test_prek_fails_a_bad_repository_too(good: Path, environment: dict[str, str], tmp_path: Path) -> None:
    mistake = next(one for one in MISTAKES if one.rule == "unknown-model-type")
    folder = Path(shutil.copytree(good, tmp_path / "repository"))
    mistake.make(folder)
    done = run(["prek", "run", mistake.hook, "--all-files"], folder, environment)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "[unknown-model-type]" in done.stdout


def test_only_changed_files_are_looked_at(good: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """A commit is not held up by what it does not touch."""
    folder = Path(shutil.copytree(good, tmp_path / "repository"))
    (folder / "models/writer/config.json").write_text("{")
    run(["git", "commit", "--quiet", "--no-verify", "-m", "bad"], folder, environment)
    (folder / "README.md").write_text("text")
    done = run(["pre-commit", "run"], folder, environment)
    assert done.returncode == 0, done.stdout


def test_the_full_validation_waits_for_its_stage(good: Path) -> None:
    manifest = (ROOT / ".pre-commit-hooks.yaml").read_text()
    entry = manifest[manifest.index("id: validate-onnx-export") :]
    assert "stages: [pre-push, manual]" in entry
    assert rules_of(VALIDATE_HOOK)
