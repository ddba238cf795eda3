"""What a change of a repository means for its targets: real git, no model library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from onnx_export_action.project.plan_changes import ChangePlan, plan_changes
from onnx_export_action.project.settings import load_settings
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.results import ModelInfo, TargetResult, Verdict

CONFIG = """\
version: 1
defaults: {opset: 18}
targets:
  - name: first
    model: ./models/first
  - name: second
    model: ./models/second
    samples: data/samples.txt
    onnx_config: configurations.py:Own
  - name: far
    model: org/far
    revision: main
"""


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Someone", "-c", "user.email=someone@example.invalid", "-c", "commit.gpgsign=false"]
    finished = subprocess.run(["git", *identity, *arguments], cwd=root, capture_output=True, text=True, check=True)
    return finished.stdout.strip()


def commit(root: Path, message: str = "change") -> str:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", message)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    for name in ("first", "second"):
        folder = root / "models" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text('{"model_type": "bert"}')
        (folder / "model.safetensors").write_bytes(b"weights of " + name.encode())
    (root / "data").mkdir()
    (root / "data" / "samples.txt").write_text("A sentence.\n")
    (root / "configurations.py").write_text("")
    (root / "onnx-export.yaml").write_text(CONFIG)
    (root / "requirements.txt").write_text("flask==3.0\ntransformers==5.22.0\n")
    git(root, "init", "-q", "-b", "main")
    commit(root, "start")
    return root


def plan(root: Path, since: str = "main", **options: object) -> ChangePlan:
    config = root / "onnx-export.yaml"
    return plan_changes(config, load_settings(config).targets, since, **options)  # type: ignore[arg-type]


def test_nothing_changed(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "topic")
    (repository / "README.md").write_text("Words.\n")
    commit(repository)
    found = plan(repository)
    assert found.changed == []
    assert json.loads(found.matrix()) == {"include": []}
    assert any("far" in note for note in found.notes)


@pytest.mark.parametrize(
    ("path", "content", "changed"),
    [
        ("models/first/config.json", '{"model_type": "gpt2"}', ["first"]),
        ("models/second/model.safetensors", "other weights", ["second"]),
        ("models/first/tokenizer.json", "{}", ["first"]),
        ("data/samples.txt", "Another.\n", ["second"]),
        ("configurations.py", "class Own: ...\n", ["second"]),
        ("onnx-export.yaml", CONFIG.replace("./models/second\n", "./models/second\n    opset: 17\n"), ["second"]),
        ("onnx-export.yaml", CONFIG.replace("revision: main", "revision: v2"), ["far"]),
        ("onnx-export.yaml", CONFIG.replace("opset: 18", "opset: 17"), ["first", "second", "far"]),
        ("onnx-export.yaml", CONFIG.replace("version: 1", "# Only words.\nversion: 1"), []),
        ("requirements.txt", "flask==3.0\ntransformers==5.23.0\n", ["first", "second", "far"]),
        ("requirements.txt", "flask==3.1\ntransformers==5.22.0\n", []),
        (".github/workflows/export.yml", "uses: org/onnx-export-action@v2\n", ["first", "second", "far"]),
        ("uv.lock", 'name = "torch"\nversion = "2.13.0"\n', ["first", "second", "far"]),
        ("artifacts/first/manifest.json", "{}", []),
    ],
)
@pytest.mark.parametrize("committed", [True, False])
def test_what_a_changed_file_exports_again(
    repository: Path, path: str, content: str, changed: list[str], committed: bool
) -> None:
    git(repository, "checkout", "-q", "-b", "topic")
    file = repository / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    if committed:
        commit(repository)
    assert plan(repository).changed == changed


def test_a_change_on_the_base_branch_is_not_ours(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "topic")
    (repository / "README.md").write_text("Words.\n")
    commit(repository)
    git(repository, "checkout", "-q", "main")
    (repository / "models/first/config.json").write_text('{"model_type": "gpt2"}')
    commit(repository)
    git(repository, "checkout", "-q", "topic")
    assert plan(repository).changed == []


def test_a_file_that_is_gone_and_a_target_that_is_new(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "topic")
    (repository / "models/first/model.safetensors").unlink()
    (repository / "onnx-export.yaml").write_text(CONFIG + "  - name: fourth\n    model: ./models/second\n")
    found = plan(repository)
    assert found.changed == ["first", "fourth"]
    assert "the target is new" in found.targets[3].reasons


def test_a_link_is_followed_to_what_it_shares(repository: Path) -> None:
    (repository / "common").mkdir()
    (repository / "common/tokenizer.json").write_text("{}")
    (repository / "models/first/tokenizer.json").symlink_to("../../common/tokenizer.json")
    commit(repository)
    git(repository, "checkout", "-q", "-b", "topic")
    (repository / "common/tokenizer.json").write_text('{"changed": true}')
    assert plan(repository).changed == ["first"]


def test_other_versions_than_the_base_was_exported_with(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "topic")
    base = [
        TargetResult(
            target="second", model=ModelInfo(source="."), verdict=Verdict.PASS, packages={"transformers": "4.57.0"}
        )
    ]
    found = plan(repository, base_results=base)
    assert found.changed == ["second"]
    assert "transformers 4.57.0 became 5." in found.targets[1].reasons[0]


def test_a_commit_that_a_shallow_clone_lacks_means_everything(repository: Path) -> None:
    found = plan(repository, "1234567890" * 4)
    assert found.changed == ["first", "second", "far"]
    assert "fetch-depth: 0" in found.notes[0]


@pytest.mark.parametrize("since", ["no-such-branch", "--output=/tmp/x", "main; true", ""])
def test_a_name_that_is_no_commit_is_an_error(repository: Path, since: str) -> None:
    with pytest.raises(ExportError, match="there is no commit"):
        plan(repository, since)


def test_a_folder_without_git_says_so(tmp_path: Path) -> None:
    (tmp_path / "models/first").mkdir(parents=True)
    (tmp_path / "onnx-export.yaml").write_text("version: 1\ntargets: [{name: a, model: ./models/first}]\n")
    with pytest.raises(ExportError, match="no git repository"):
        plan(tmp_path)


def test_more_targets_than_jobs_share_them() -> None:
    from onnx_export_action.project.plan_changes import PlannedTarget

    targets = [PlannedTarget(name=f"target-{number}", reasons=["new"]) for number in range(600)]
    entries = json.loads(ChangePlan(targets=targets).matrix())["include"]
    assert len(entries) == 256
    named = [name for entry in entries for name in entry["targets"].split(",")]
    assert sorted(named) == sorted(target.name for target in targets)


def test_a_repository_cannot_make_git_run_its_programs(repository: Path) -> None:
    mark = repository.parent / "ran"
    (repository / ".gitattributes").write_text("*.json diff=evil\n")
    git(repository, "config", "diff.evil.textconv", f"touch {mark}; cat")
    git(repository, "config", "diff.evil.command", f"touch {mark}; true")
    git(repository, "config", "core.fsmonitor", f"touch {mark}")
    (repository / "models/first/config.json").write_text("{}")
    assert plan(repository).changed == ["first"]
    assert not mark.exists()


def test_planning_imports_no_heavy_package() -> None:
    code = "import sys, onnx_export_action.project.plan_changes; print('torch' in sys.modules, 'numpy' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False False"
