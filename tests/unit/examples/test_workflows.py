"""The workflows that users copy use inputs and outputs that the action has, and ``init`` writes the first of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from tools.pin_image import pinned
from tools.write_action_yml import ACTION as ACTION_FILE
from tools.write_action_yml import PAGE, action_yml, with_tables

from onnx_export_action.entrypoints.command_line.cli import main
from onnx_export_action.entrypoints.github.inputs import INPUTS, OUTPUTS

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted([*(ROOT / "examples/workflows").glob("*.yml"), *(ROOT / ".github/workflows").glob("*.yml")])
ACTION = re.compile(r"org/onnx-export-action@v1|\./")
PINNED = re.compile(r"[\w-]+/[\w./-]+@[0-9a-f]{40}")


def steps(workflow: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every step with the text of its job."""
    for job in yaml.safe_load(workflow.read_text())["jobs"].values():
        for step in job["steps"]:
            yield yaml.safe_dump(job), step


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_the_action_gets_inputs_that_it_knows(workflow: Path) -> None:
    declared = {one.name: one for one in INPUTS}
    for _, step in steps(workflow):
        if ACTION.fullmatch(step.get("uses", "")):
            for name, value in step.get("with", {}).items():
                assert name in declared
                assert value in (declared[name].choices or [value])


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_outputs_that_are_read_are_outputs_of_the_action(workflow: Path) -> None:
    known = {one.name for one in OUTPUTS}
    for job, step in steps(workflow):
        if ACTION.fullmatch(step.get("uses", "")) and "id" in step:
            read = set(re.findall(rf"steps\.{step['id']}\.outputs\.([\w-]+)", job))
            assert read
            assert read <= known


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_rights_are_asked_for_job_by_job_and_actions_are_pinned(workflow: Path) -> None:
    content = yaml.safe_load(workflow.read_text())
    assert content["permissions"] == {}
    assert all("permissions" in job for job in content["jobs"].values())
    assert all(
        PINNED.fullmatch(step["uses"]) or ACTION.fullmatch(step["uses"])
        for _, step in steps(workflow)
        if "uses" in step
    )


def test_init_writes_the_first_example() -> None:
    template = (resources.files("onnx_export_action.entrypoints") / "templates/workflow.yml").read_text(
        encoding="utf-8"
    )
    assert template == (ROOT / "examples/workflows/pull-request.yml").read_text(encoding="utf-8")


IMAGE = f"docker://ghcr.io/org/onnx-export-action@sha256:{'0a' * 32}"


def test_a_release_names_the_image_by_its_digest() -> None:
    action = "runs:\n  using: docker\n  image: Dockerfile\n  args: []\n"
    assert yaml.safe_load(pinned(action, IMAGE))["runs"] == {"using": "docker", "image": IMAGE, "args": []}


@pytest.mark.parametrize(
    ("action", "image"),
    [("runs: {image: docker://other}", IMAGE), ("  image: Dockerfile", "docker://ghcr.io/org/x:v1"), ("", IMAGE)],
)
def test_a_release_without_a_digest_or_a_dockerfile_is_refused(action: str, image: str) -> None:
    with pytest.raises(ValueError, match="image"):
        pinned(action, image)


def test_action_yml_and_its_page_say_what_the_code_reads() -> None:
    assert ACTION_FILE.read_text(encoding="utf-8") == action_yml(), "run python tools/write_action_yml.py"
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_tables(page), "run python tools/write_action_yml.py"


def test_commands_and_options_of_the_step_are_those_of_the_command_line() -> None:
    commands = next(one for one in INPUTS if one.name == "command").choices
    assert set(commands) <= set(main.commands)
    options = {
        option for command in main.commands.values() for parameter in command.params for option in parameter.opts
    }
    shared = {"config", "changed-since", "output"}
    assert {f"--{name}" for name in shared} <= options
    assert shared <= {one.name for one in INPUTS}


def test_the_release_can_pin_the_image_of_this_very_action() -> None:
    runs = yaml.safe_load(pinned(ACTION_FILE.read_text(encoding="utf-8"), IMAGE))["runs"]
    assert runs == {"using": "docker", "image": IMAGE}


def test_the_readme_shows_the_workflow_that_init_writes() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = next(block for block in re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL) if "uses: org/" in block)
    workflow = (ROOT / "examples/workflows/pull-request.yml").read_text(encoding="utf-8")
    assert yaml.safe_load(shown) == yaml.safe_load(workflow)
