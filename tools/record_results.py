"""Writes results of real runs over tiny models to tests/data/results, for tests that judge and report. Takes a minute.

PYTHONPATH=. python tools/record_results.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
from tests.models import tiny_checkpoint

from onnx_export_action.vocabulary.results import TargetResult, Verdict, read_result
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT

RESULTS = Path(__file__).resolve().parent.parent / "tests" / "data" / "results"
# Name -> model type, the head's task, options of `export`.
RUNS = {
    "bert": ("bert", "text-classification", "--variant fp16 --variant q8"),
    "gpt2": ("gpt2", "text-generation", "--task text-generation-with-past"),
    "t5": ("t5", "text2text-generation", "--task text2text-generation-with-past"),
    "vit": ("vit", "image-classification", ""),
    "ts": ("bert", "text-classification", "--format torchscript"),
}


def main() -> None:
    """Run and write each."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name, (kind, task, options) in RUNS.items():
        with tempfile.TemporaryDirectory() as folder:
            tiny_checkpoint(kind, Path(folder) / name, task=task)
            command = [sys.executable, "-m", "onnx_export_action", "export", name, f"out/{name}", *options.split()]
            subprocess.run(
                [*command, "--result-json", "result.json"], cwd=folder, check=True, stdout=subprocess.DEVNULL
            )
            (RESULTS / f"{name}.json").write_bytes(
                msgspec.json.encode(_kept(read_result(Path(folder) / "result.json")))
            )
    print(f"{len(RUNS)} results in {RESULTS}")


def _kept(result: TargetResult) -> TargetResult:
    """The proven result; of a target of several files the first and the last, which is the merged one."""
    if result.verdict is not Verdict.PASS:
        message = f"{result.target} is not proven: {result.failure}"
        raise SystemExit(message)
    several = len(result.files) > 1 and result.files[-1].variant == REFERENCE_VARIANT
    files = [result.files[0], result.files[-1]] if several else result.files
    return msgspec.structs.replace(result, files=files, peak_rss_bytes=None)


if __name__ == "__main__":
    main()
