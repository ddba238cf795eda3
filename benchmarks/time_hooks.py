"""Times the light hooks as whole processes on a repository of 200 models: one changed file, and all of them.

    python benchmarks/time_hooks.py [--python PYTHON] [--rounds 9]

PYTHON has the package installed as pre-commit installs it; an editable install adds about 20 ms to each start.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.hooks_corpus.repository import write_repository

from onnx_export_action.project.manifest import read_manifest, write_manifest

MODELS = 200
CHANGED = {
    "check-onnx-export-config": "onnx-export.yaml",
    "check-model-config": "models/model7/config.json",
    "check-safetensors": "models/model7/model.safetensors",
    "check-onnx-files": "artifacts/model7/onnx/model.onnx",
    "check-export-is-current": "models/model7/config.json",
}


def write_many_models(root: Path) -> Path:
    """The good repository with its exported model 200 times."""
    write_repository(root)
    manifest = read_manifest(root / "artifacts/sentiment/manifest.json")
    lines = ["version: 1", "targets:"]
    for number in range(MODELS):
        manifest.target = f"model{number}"
        for folder in ("models", "artifacts"):
            shutil.copytree(root / folder / "sentiment", root / folder / manifest.target)
        write_manifest(manifest, root / "artifacts" / manifest.target / "manifest.json")
        lines += [f"- name: model{number}", f"  model: ./models/model{number}", "  task: text-classification"]
    (root / "onnx-export.yaml").write_text("\n".join(lines) + "\n")
    return root


def seconds(python: str, hook: str, file: str, root: Path) -> tuple[float, float]:
    """Wall and processor seconds of one process that finds nothing.

    Raises:
        RuntimeError: it finds something, or fails.
    """
    code = f"import sys; from onnx_export_hooks.{hook.replace('-', '_')} import main; sys.exit(main(sys.argv[1:]))"
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([python, "-c", code, file], cwd=root, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise RuntimeError(f"{hook} {file}: {done.stdout}{done.stderr}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = write_many_models(Path(folder) / "repository")
        print("| hook | one changed file | all of 200 models |\n|---|---|---|")
        for hook, file in CHANGED.items():
            cells = (
                statistics.median(seconds(options.python, hook, name, root)[0] for _ in range(options.rounds))
                for name in (file, ".")
            )
            print(f"| {hook} | {' | '.join(f'{cell:.2f} s' for cell in cells)} |")


if __name__ == "__main__":
    main()
