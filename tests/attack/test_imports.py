"""A repository full of files with the names of modules and programs: none runs, and none stops the work.

That is what a fork's pull request can hold, without any right and without `allow-remote-code`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from onnx_export_action.vocabulary.results import Verdict, read_result
from tests.attack.canary import STARTUP_MODULES, Canary, module_names
from tests.conftest import CheckpointFactory
from tests.hub_server import HubServer
from tests.runner import Runner

BIN = Path(sys.executable).parent
SETTINGS = "version: 1\ntargets:\n- {name: tiny, model: ./models/tiny, task: text-classification}\n"
NAMES = module_names()
HALVES = {True: frozenset(sorted(NAMES)[::2]), False: frozenset(sorted(NAMES)[1::2])}
LIGHT = (
    ["onnx-export", "plan"],
    ["onnx-export", "plan", "--format", "json", "--changed-since", "HEAD"],
    ["onnx-export", "tasks", "bert", "--format", "json"],
    ["onnx-export", "schema", "config"],
    ["onnx-export", "init", "--dry-run"],
    ["onnx-export", "report", "before/tiny.result.json"],
    ["onnx-export", "report", "before/tiny.result.json", "--format", "html"],
    ["check-onnx-export-config", "onnx-export.yaml"],
    ["check-model-config", "models"],
    ["check-safetensors", "models"],
    ["check-onnx-files", "before"],
    ["check-export-is-current", "onnx-export.yaml"],
    [sys.executable, "-P", "-m", "onnx_export_action", "tasks", "bert"],
)
HEAVY = (
    (["onnx-export", "run", "--output", "after"], True),
    (["onnx-export", "export", "models/tiny", "after/tiny", "--task", "text-classification"], False),
    (["onnx-export", "validate", "models/tiny", "before/tiny", "--task", "text-classification"], True),
    (["validate-onnx-export", "onnx-export.yaml"], False),
    ([sys.executable, "-P", "-m", "onnx_export_action", "--model", "models/tiny", "after/tiny"], True),
)


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Someone", "-c", "user.email=someone@example.invalid"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, check=True)


@pytest.fixture(scope="module")
def exported(checkpoint: CheckpointFactory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with an exported model, before anyone planted something."""
    root = tmp_path_factory.mktemp("exported") / "workspace"
    shutil.copytree(checkpoint("bert", task="text-classification"), root / "models/tiny")
    (root / "onnx-export.yaml").write_text(SETTINGS)
    subprocess.run([BIN / "onnx-export", "run", "--output", "before"], cwd=root, check=True, capture_output=True)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "start")
    return root


@pytest.fixture
def workspace(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "workspace", symlinks=True))


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    return Canary(tmp_path / "ran")


@pytest.fixture
def temporary(canary: Canary) -> Iterator[Path]:
    """A temporary folder in which someone planted the names as well."""
    # Not below pytest's folders: the path of a Unix socket, which the fork server makes there, must be short.
    folder = Path(tempfile.mkdtemp(prefix="attack-"))
    canary.plant_modules(folder, NAMES, packages=False)
    yield folder
    shutil.rmtree(folder)


def run(command: list[str], workspace: Path, temporary: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    # An empty entry of PATH means the working folder.
    path = f"{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TMPDIR": str(temporary), "PATH": path, **variables}
    program = str(BIN / command[0]) if os.sep not in command[0] else command[0]
    return subprocess.run(
        [program, *command[1:]],
        cwd=workspace,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("packages", [False, True], ids=["files", "packages"])
@pytest.mark.parametrize("command", LIGHT, ids=lambda command: " ".join(command[-4:]))
def test_a_light_command_imports_and_starts_nothing_of_the_repository(
    command: list[str], packages: bool, workspace: Path, temporary: Path, canary: Canary
) -> None:
    canary.plant_modules(workspace, NAMES, packages=packages)
    if not packages:
        canary.plant_programs(workspace)
    done = run(command, workspace, temporary)
    assert canary.ran() == []
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("command", "first"), HEAVY, ids=lambda value: " ".join(value) if value is list else None)
def test_an_export_imports_and_starts_nothing_of_the_repository(
    command: list[str], first: bool, workspace: Path, temporary: Path, canary: Canary
) -> None:
    canary.plant_modules(workspace, HALVES[first], packages=False)
    canary.plant_modules(workspace, HALVES[not first], packages=True)
    canary.plant_programs(workspace)
    done = run(command, workspace, temporary)
    assert canary.ran() == []
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_the_action_imports_and_starts_nothing_of_the_repository(
    workspace: Path, temporary: Path, canary: Canary, tmp_path: Path
) -> None:
    canary.plant_modules(workspace, HALVES[False], packages=False)
    canary.plant_modules(workspace, HALVES[True], packages=True)
    canary.plant_programs(workspace)
    variables = {"TMPDIR": str(temporary), "PATH": f":{os.environ['PATH']}"}
    step = Runner(workspace, tmp_path / "files", environment=variables).run("push", {"before": "0" * 40})
    assert canary.ran() == []
    assert step.code == 0, step.log
    assert read_result(workspace / step.outputs["result"]).verdict is Verdict.PASS


def test_publishing_imports_and_starts_nothing_of_the_repository(
    workspace: Path, temporary: Path, canary: Canary, hub_server: HubServer, tmp_path: Path
) -> None:
    canary.plant_modules(workspace, NAMES, packages=False)
    canary.plant_programs(workspace)
    hub_server.add_account("hf_write", "robot", "robot/tiny")
    hub = hub_server.environment(tmp_path / "home", token="hf_write") | {"HF_HUB_OFFLINE": "0"}
    done = run(["onnx-export", "publish", "before/tiny", "--repo", "robot/tiny"], workspace, temporary, **hub)
    assert canary.ran() == []
    assert done.returncode == 0, done.stderr


def test_the_working_folder_leaves_the_path_however_it_came_there(
    workspace: Path, temporary: Path, canary: Canary
) -> None:
    """``PYTHONPATH=:`` and its kind: what Python does before the first line of a program is beyond any program."""
    canary.plant_modules(workspace, NAMES - STARTUP_MODULES, packages=False)
    start = (
        "import os, sys; sys.path[:0] = ['', '.', 'models/..', os.getcwd(), os.getcwd() + '/models/..'];"
        "os.environ['PYTHONPATH'] = os.pathsep.join(['', *os.environ.get('PYTHONPATH', '').split(os.pathsep), '.']);"
        "from onnx_export_action.entrypoints.start import main; main()"
    )
    done = run([sys.executable, "-P", "-c", start, "run", "--output", "after"], workspace, temporary)
    assert canary.ran() == []
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="`python -m` of 3.12 takes importlib itself from the folder")
def test_python_with_m_alone_is_guarded_as_well(workspace: Path, temporary: Path, canary: Canary) -> None:
    canary.plant_modules(workspace, NAMES, packages=False)
    done = run([sys.executable, "-m", "onnx_export_action", "tasks", "bert", "--format", "json"], workspace, temporary)
    assert canary.ran() == []
    assert json.loads(done.stdout)


def test_the_canary_sings(workspace: Path, temporary: Path, canary: Canary) -> None:
    canary.plant_modules(workspace, NAMES, packages=False)
    canary.plant_programs(workspace)
    run([sys.executable, "-c", "import queue"], workspace, temporary)
    run(["/bin/sh", "-c", "git status"], workspace, temporary)
    assert canary.ran() == ["git", "queue as a file"]
