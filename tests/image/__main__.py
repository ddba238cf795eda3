"""Builds the action's image and runs the main job in it, without a Docker engine: ``make image-test``.

buildah builds, debootstrap makes a base where the registry of the real one is out of reach, and the runner's
environment, inputs and mounts are those of a container action. Needs root, as buildah without user namespaces does.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from onnx_export_action.vocabulary.results import Verdict, read_result
from tests.models import tiny_checkpoint
from tests.runner import ROOT, Runner, outputs_in

CACHE = ROOT / ".image"
BASE, IMAGE = "localhost/onnx-export-base", "localhost/onnx-export-action"
RUNNER_USER = 1001  # hosted runners work as this user
BUILDAH = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates,git"
SETTINGS = "version: 1\ntargets:\n- {name: tiny, model: ./models/tiny, task: text-classification}\n"


def main() -> int:
    missing = [tool for tool in ("buildah", "debootstrap") if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        print(f"this needs root and {' and '.join(missing) or 'nothing else'}: apt-get install buildah debootstrap")
        return 2
    build()
    container = ask("buildah", "from", IMAGE)
    try:
        sizes(Path(ask("buildah", "mount", container)))
        main_job(container)
    finally:
        subprocess.run(["buildah", "rm", container], env=BUILDAH, stdout=subprocess.DEVNULL, check=False)
    print("the main job passed in the image")
    return 0


def ask(*command: str | Path) -> str:
    return subprocess.run(command, env=BUILDAH, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def build() -> None:
    """The image of this checkout. Packages come from where this machine's own pip gets them."""
    CACHE.mkdir(exist_ok=True)
    if subprocess.run(["buildah", "inspect", BASE], env=BUILDAH, capture_output=True, check=False).returncode != 0:
        make_base()
    pip_configuration, folders = pip_of_this_machine()
    mounts = ["/etc/ssl/certs", *sorted(folders)]
    volumes = [f"--volume={folder}:{folder}:ro" for folder in mounts]
    volumes.append(f"--volume={pip_configuration}:/etc/pip.conf:ro")
    ask("buildah", "build", "--quiet", "--pull-never", f"--build-arg=BASE={BASE}", *volumes, "--tag", IMAGE, ROOT)


def make_base() -> None:
    folder = CACHE / "base"
    if not (folder / "usr/bin/python3").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", folder],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    container = ask("buildah", "from", "scratch")
    ask("buildah", "add", "--quiet", container, folder)
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    ask("buildah", "config", "--env", f"PATH={path}", container)
    ask("buildah", "commit", "--quiet", "--rm", container, BASE)


def pip_of_this_machine() -> tuple[Path, set[str]]:
    """pip's configuration of this machine as a file, and the folders that it names."""
    listed = ask(sys.executable, "-m", "pip", "config", "list").splitlines()
    settings: dict[str, str] = {}
    folders = set()
    for line in listed:
        name, _, value = line.partition("=")
        text = value.strip("'\"").replace("\\n", " ")
        settings[name.rpartition(".")[2]] = text
        for word in text.split():
            path = Path(word.removeprefix("file://"))
            if path.is_absolute() and path.is_dir():  # an index links to files beside it
                folders.add(str(path.parent if word.startswith("file://") else path))
    place = CACHE / "pip.conf"
    lines = ["[global]", *(f"{name} = {text}" for name, text in settings.items())]
    place.write_text("\n".join(lines) + "\n")
    return place, folders


def sizes(root: Path) -> None:
    """What fills the image, in megabytes unpacked."""
    packages = next(root.glob("opt/onnx-export/lib/python3*/site-packages"))
    print(f"image {megabytes(root)} MB, of it {megabytes(root / 'opt/onnx-export')} MB in its environment:")
    parts = sorted(((megabytes(path), path.name) for path in packages.iterdir()), reverse=True)
    print("  " + ", ".join(f"{name} {size}" for size, name in parts[:6]))
    compilers = [path.name for name in ("gcc", "cc1", "g++", "clang") for path in root.glob(f"usr/bin/{name}")]
    assert compilers == [], compilers
    assert not list(packages.glob("nvidia*")), "CUDA came in"


def megabytes(path: Path) -> int:
    return int(ask("du", "-sm", path).split()[0])


def main_job(container: str) -> None:
    """A push, in a workspace of the runner's user; what is left there must be that user's."""
    with tempfile.TemporaryDirectory() as folder:
        workspace, files, home = (Path(folder) / name for name in ("workspace", "files", "home"))
        for place in (workspace, files, home):
            place.mkdir()
        tiny_checkpoint("bert", workspace / "models/tiny", task="text-classification")
        (workspace / "onnx-export.yaml").write_text(SETTINGS)
        (files / "event.json").write_text(json.dumps({"before": "0" * 40}))
        (files / "output").touch()
        (files / "summary").touch()
        for place in (Path(folder), *Path(folder).rglob("*")):
            os.chown(place, RUNNER_USER, RUNNER_USER)
        environment = {
            **Runner(workspace, files).inputs({}),
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_EVENT_PATH": "/github/file_commands/event.json",
            "GITHUB_REPOSITORY": "team/models",
            "GITHUB_WORKSPACE": "/github/workspace",
            "GITHUB_OUTPUT": "/github/file_commands/output",
            "GITHUB_STEP_SUMMARY": "/github/file_commands/summary",
            "HOME": "/github/home",
        }
        entry_point = ask("buildah", "inspect", "--format", "{{json .OCIv1.Config.Entrypoint}}", IMAGE)
        subprocess.run(
            [
                *("buildah", "run", "--workingdir=/github/workspace"),
                *(f"--volume={place}:/github/{name}" for place, name in mounts_of(workspace, files, home)),
                *(f"--env={name}={value}" for name, value in environment.items()),
                *(container, "--", *json.loads(entry_point)),
            ],
            env=BUILDAH,
            check=True,
        )
        outputs = outputs_in((files / "output").read_text())
        assert outputs["verdict"] == "pass", outputs
        assert read_result(workspace / outputs["result"]).verdict is Verdict.PASS
        assert (files / "summary").read_text().startswith("### ✅")
        foreign = [path for path in workspace.rglob("*") if path.stat().st_uid != RUNNER_USER]
        assert foreign == [], f"not the runner's: {foreign[:3]}"


def mounts_of(workspace: Path, files: Path, home: Path) -> list[tuple[Path, str]]:
    return [(workspace, "workspace"), (files, "file_commands"), (home, "home")]


if __name__ == "__main__":
    raise SystemExit(main())
