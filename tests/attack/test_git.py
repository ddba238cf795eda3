"""A checkout whose settings name programs: planning, publishing, hooks and init read it and start none of them.

A fork cannot send `.git/config`, but what ran before in the job can have written it, and `lfs: true` does.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from onnx_export_action.entrypoints.starting_files import find_models
from onnx_export_action.project.plan_changes import changed_since_commit, plan_changes
from onnx_export_action.project.settings import load_settings
from onnx_export_hooks.repository import is_lfs_managed
from tests.attack.canary import Canary

CONFIG = "version: 1\ntargets:\n- {name: one, model: ./models/one}\n- {name: sub, model: ./parts/sub/model}\n"
WEIGHTS = b"the weights of a model, which git keeps elsewhere" * 100
OTHER_WEIGHTS = b"the weights of a model, which git keeps Elsewhere" * 100


def pointer_to(content: bytes) -> bytes:
    facts = f"oid sha256:{sha256(content).hexdigest()}\nsize {len(content)}\n"
    return f"version https://git-lfs.github.com/spec/v1\n{facts}".encode()


def git(root: Path, *arguments: str) -> str:
    settings = {"user.name": "Someone", "user.email": "someone@example.invalid", "protocol.file.allow": "always"}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    done = subprocess.run(["git", *options, *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a submodule, weights as a pointer in git and as themselves in the working tree."""
    part = tmp_path / "part"
    (part / "model").mkdir(parents=True)
    (part / "model/config.json").write_text('{"model_type": "bert"}')
    for root in (part, tmp_path / "repository"):
        root.mkdir(exist_ok=True)
        (root / ".gitattributes").write_text("*.safetensors filter=lfs diff=lfs merge=lfs -text\n*.json diff=json\n")
        folder = root / "models/one"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text('{"model_type": "bert"}')
        (folder / "model.safetensors").write_bytes(pointer_to(WEIGHTS))
        (root / "onnx-export.yaml").write_text(CONFIG)
        git(root, "init", "-q", "-b", "main")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "start")
    root = tmp_path / "repository"
    git(root, "submodule", "add", "-q", str(part), "parts/sub")
    git(root, "commit", "-q", "-m", "the submodule")
    for place in (root, root / "parts/sub"):
        check_out(place, WEIGHTS)
    return root


def check_out(root: Path, content: bytes) -> None:
    """Put content in a pointer's place as Git LFS does: git's index knows its time and size, not to doubt it."""
    (root / "models/one/model.safetensors").write_bytes(content)
    pointer = root.parent / "pointer"
    pointer.write_bytes(pointer_to(content))
    passing = ["-c", f"filter.lfs.clean=cat > /dev/null; cat '{pointer}'"]
    git(root, *passing, "add", "models/one/model.safetensors")
    pointer.unlink()
    assert git(root, "diff", "--cached", "--name-only") == ""


def doubt(root: Path) -> None:
    """Make every entry of the index one whose file may have changed: git reads the file, through its filter."""
    now = time.time() + 2
    for path in root.rglob("*"):
        if path.is_file() and ".git" not in path.relative_to(root).parts:
            os.utime(path, (now, now))


def planned(root: Path) -> list[str]:
    config = root / "onnx-export.yaml"
    return plan_changes(config, load_settings(config).targets, "HEAD").changed


def lfs_as_actions_checkout_sets_it(root: Path) -> None:
    git(root, "config", "filter.lfs.clean", "git-lfs clean -- %f")
    git(root, "config", "filter.lfs.smudge", "git-lfs smudge -- %f")
    git(root, "config", "filter.lfs.process", "git-lfs filter-process")
    git(root, "config", "filter.lfs.required", "true")


@pytest.mark.parametrize("configured", [False, True], ids=["no filter", "lfs: true"])
def test_lfs_files_are_compared_where_git_lfs_is_not_installed(repository: Path, configured: bool) -> None:
    if configured:
        lfs_as_actions_checkout_sets_it(repository)
        lfs_as_actions_checkout_sets_it(repository / "parts/sub")
    doubt(repository)
    assert planned(repository) == []
    assert changed_since_commit(repository / "onnx-export.yaml") == []


@pytest.mark.parametrize(
    ("content", "changed"),
    [
        (WEIGHTS, []),
        (pointer_to(WEIGHTS), []),
        (OTHER_WEIGHTS, ["one"]),
        (pointer_to(OTHER_WEIGHTS), ["one"]),
        (WEIGHTS[:-1], ["one"]),
        (b"", ["one"]),
    ],
    ids=["content", "pointer", "other content", "other pointer", "cut off", "empty"],
)
def test_a_file_of_lfs_has_changed_when_its_content_has(repository: Path, content: bytes, changed: list[str]) -> None:
    lfs_as_actions_checkout_sets_it(repository)
    (repository / "models/one/model.safetensors").write_bytes(content)
    doubt(repository)
    assert planned(repository) == changed


def test_weights_that_lfs_exchanged_between_commits_are_a_change(repository: Path) -> None:
    before = git(repository, "rev-parse", "HEAD")
    (repository / "models/one/model.safetensors").write_bytes(pointer_to(OTHER_WEIGHTS))
    git(repository, "-c", "filter.lfs.clean=cat", "commit", "-q", "-a", "-m", "new weights")
    check_out(repository, OTHER_WEIGHTS)
    doubt(repository)
    config = repository / "onnx-export.yaml"
    assert plan_changes(config, load_settings(config).targets, before).changed == ["one"]
    assert planned(repository) == []


def test_what_was_changed_inside_a_submodule_is_seen(repository: Path) -> None:
    (repository / "parts/sub/model/config.json").write_text('{"model_type": "gpt2"}')
    assert planned(repository) == ["sub"]
    git(repository / "parts/sub", "checkout", "-q", "model")
    (repository / "parts/sub/model/new.json").write_text("{}")
    assert planned(repository) == ["sub"]


FILTERS = ("lfs", "a.b", "a=b", "Ü", "a b", "-c", "'", "core", "x" * 200)
SETTINGS = {
    "core.fsmonitor": "{program}",
    "core.hooksPath": "{hooks}",
    "core.pager": "{program}",
    "core.editor": "{program}",
    "core.askPass": "{program}",
    "core.sshCommand": "{program}",
    "core.alternateRefsCommand": "{program}",
    "core.gitProxy": "{program}",
    "credential.helper": "!{program}",
    "diff.external": "{program}",
    "diff.json.command": "{program}",
    "diff.json.textconv": "{program}",
    "diff.lfs.textconv": "{program}",
    "diff.lfs.command": "{program}",
    "merge.lfs.driver": "{program}",
    "gpg.program": "{program}",
    "log.showSignature": "true",
    "pager.diff": "{program}",
    "pager.ls-files": "{program}",
    "alias.diff": "!{program}",
    "alias.ls-files": "!{program}",
    "submodule.parts/sub.update": "!{program}",
    "uploadpack.packObjectsHook": "{program}",
    "remote.origin.url": "ext::{program}",
    "remote.origin.promisor": "true",
    "remote.origin.partialclonefilter": "blob:none",
    "remote.origin.uploadpack": "{program}",
    "protocol.allow": "always",
    "protocol.ext.allow": "always",
    "extensions.partialClone": "origin",
    "core.repositoryFormatVersion": "1",
}
HOOKS = ("post-index-change", "post-checkout", "pre-commit", "fsmonitor-watchman", "reference-transaction")


def lay_traps(root: Path, canary: Canary, program: Path) -> None:
    """Every setting of git that names a program, in the repository's own settings and in a file that they include."""
    program.write_text(canary.program("a program"))
    program.chmod(0o755)
    hooks = program.parent / "hooks"
    hooks.mkdir(exist_ok=True)
    for place in (hooks, Path(git(root, "rev-parse", "--absolute-git-dir")) / "hooks"):
        place.mkdir(exist_ok=True)
        for name in HOOKS:
            (place / name).write_text(canary.program(name))
            (place / name).chmod(0o755)
    included = program.parent / "included"
    for number, name in enumerate(FILTERS):
        file = ["--file", str(included)] if number % 2 else []
        for key, value in (("clean", program), ("smudge", program), ("process", program), ("required", "true")):
            git(root, "config", *file, f"filter.{name}.{key}", str(value))
    git(root, "config", "include.path", str(included))
    for name, value in SETTINGS.items():
        git(root, "config", name, value.format(program=program, hooks=hooks))


def plan_all(root: Path) -> object:
    return planned(root)


def hook(root: Path) -> object:
    return is_lfs_managed(root / "models/one/model.safetensors")


READERS: dict[str, Callable[[Path], object]] = {
    "plan": plan_all,
    "publish": lambda root: changed_since_commit(root / "onnx-export.yaml"),
    "hooks": hook,
    "init": find_models,
}


@pytest.mark.parametrize("name", READERS)
def test_no_program_that_a_checkout_names_is_started(name: str, repository: Path, tmp_path: Path) -> None:
    canary = Canary(tmp_path / "ran")
    for number, filter_name in enumerate(FILTERS):
        pattern = f"*.t{number}"
        with (repository / ".git/info/attributes").open("a") as attributes:
            attributes.write(f"{pattern} filter={filter_name}\n")
        (repository / f"models/one/file.t{number}").write_text("before")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "files with filters")
    for root in (repository, repository / "parts/sub"):
        lay_traps(root, canary, tmp_path / "program")
    for number in range(len(FILTERS)):
        (repository / f"models/one/file.t{number}").write_text("after!")
    doubt(repository)
    READERS[name](repository)
    assert canary.ran() == []


def test_an_object_that_a_partial_clone_does_not_have_is_not_fetched(repository: Path, tmp_path: Path) -> None:
    canary = Canary(tmp_path / "ran")
    blob = git(repository, "rev-parse", "HEAD:onnx-export.yaml")
    (repository / ".git/objects" / blob[:2] / blob[2:]).unlink()
    lay_traps(repository, canary, tmp_path / "program")
    assert "one" in planned(repository)  # when in doubt, a target counts as changed
    assert canary.ran() == []


def test_the_traps_work(repository: Path, tmp_path: Path) -> None:
    canary = Canary(tmp_path / "ran")
    lay_traps(repository, canary, tmp_path / "program")
    doubt(repository)
    subprocess.run(["git", "diff"], cwd=repository, capture_output=True, check=False)
    assert "a program" in canary.ran()
