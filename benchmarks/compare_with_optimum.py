"""Time ``onnx-export export`` against ``optimum-cli export onnx``, whole processes, interleaved in one run.

    python -m benchmarks.compare_with_optimum [--runs 5] [--models minilm gpt2] [--peer-python PYTHON]

For each model: warm-up runs of both tools, which do not count; then ours, theirs, ours, theirs ..., timed; then the
same with the memory of the whole process tree sampled, which slows what it watches and so is kept out of the times.
Ratios are taken pair by pair, so that a slow minute of the machine meets both. Both tools must exit with 0 and leave
ONNX files, ours also a passing ``result.json``, or the benchmark stops.

The peer needs transformers below 4.58 and gets an environment of its own, made once below ``.bench``. The tables are
written between the markers of ``docs/benchmarks.md``, the single measurements to ``.bench/compare_with_optimum.json``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.full_size_models import MODELS, FullSizeModel, prepare
from benchmarks.process_measurement import Measurement, measure
from onnx_export_action.vocabulary.results import Verdict, read_result

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".bench"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
BEGIN = "<!-- compare_with_optimum: made by `make bench`, do not edit -->"
END = "<!-- compare_with_optimum: end -->"
PACKAGES = ("torch", "transformers", "onnx", "onnxruntime", "optimum", "optimum-onnx")
MEBIBYTE = 2**20


# --- the two tools ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One export: what it cost and what it did."""

    measurement: Measurement
    files: int
    onnx_bytes: int
    cases: int
    timings: dict[str, float]


@dataclass(frozen=True)
class Tool:
    """A command line to be measured; ``read`` takes what was validated and the time's break-down from its output."""

    name: str
    command: Callable[[Path, str, Path], list[str]]
    read: Callable[[Path], tuple[int, dict[str, float]]]
    environment: dict[str, str]


def own_tool(command: str) -> Tool:
    def build(model: Path, task: str, output: Path) -> list[str]:
        export = ["export", str(model), str(output), "--task", task, "--result-json", str(_result_path(output))]
        return [*shlex.split(command), *export]

    def read(output: Path) -> tuple[int, dict[str, float]]:
        result = read_result(_result_path(output))
        if result.verdict is not Verdict.PASS:
            raise SystemExit(f"{_result_path(output)}: verdict {result.verdict.value}")
        return sum(len(file.cases) for file in result.files), result.timings

    return Tool("onnx-export", build, read, _environment())


def _result_path(output: Path) -> Path:
    return output.with_name(f"{output.name}.result.json")


def peer_tool(python: Path) -> Tool:
    def build(model: Path, task: str, output: Path) -> list[str]:
        script = str(python.parent / "optimum-cli")
        return [script, "export", "onnx", "--model", str(model), "--task", task, str(output)]

    def read(output: Path) -> tuple[int, dict[str, float]]:
        """One input for each file (``validate_models_outputs`` of optimum-onnx 0.1.0).

        A merged decoder is tried with and without a past, and the two decoders it was made from no more.
        """
        files = _onnx_files(output)
        merged = any(path.name == "decoder_model_merged.onnx" for path in files)
        return len(files) - int(merged), {}

    # Our source tree has no business on the peer's path.
    return Tool("optimum-cli", build, read, {k: v for k, v in _environment().items() if k != "PYTHONPATH"})


def _environment() -> dict[str, str]:
    """Local folders only: no tool waits for the network."""
    return os.environ | {"HF_HUB_OFFLINE": "1"}


def peer_python(given: Path | None) -> Path:
    """The interpreter of the peer's environment; the environment is made on the first call."""
    if given is not None:
        return given
    folder = WORK / "peer-venv"
    python = folder / "bin" / "python"
    finished = folder / "finished"
    if not finished.exists():
        print(f"making {folder}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # The CPU index serves this one step: in the next, torch is there and no CUDA build is asked for.
        subprocess.run(
            [*install, "torch==2.13.0", "--extra-index-url", "https://download.pytorch.org/whl/cpu"], check=True
        )
        subprocess.run([*install, "optimum-onnx==0.1.0", "onnxruntime", "onnxscript"], check=True)
        finished.touch()
    return python


# --- measuring --------------------------------------------------------------------------------------------------------


def run_once(tool: Tool, model: FullSizeModel, folder: Path, *, sample_tree: bool = False) -> Run:
    """One export into an empty folder, which is removed again."""
    output = WORK / "output" / tool.name
    shutil.rmtree(output.parent, ignore_errors=True)
    output.parent.mkdir(parents=True)
    log = WORK / f"{tool.name}.log"
    os.sync()  # the files of the run before are not written back during this one
    command = tool.command(folder, model.task, output)
    try:
        measurement = measure(command, log=log, environment=tool.environment, sample_tree=sample_tree)
    except OSError as error:
        raise SystemExit(str(error)) from error
    files = _onnx_files(output)
    if measurement.exit_code != 0 or not files:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        raise SystemExit(f"{shlex.join(command)}\nexit code {measurement.exit_code}, {len(files)} ONNX files\n{tail}")
    cases, timings = tool.read(output)
    onnx_bytes = sum(path.stat().st_size for path in output.rglob("*.onnx*") if path.is_file())
    shutil.rmtree(output.parent)
    return Run(measurement, len(files), onnx_bytes, cases, timings)


def _onnx_files(output: Path) -> list[Path]:
    return sorted(output.rglob("*.onnx"))


@dataclass(frozen=True)
class Pair:
    """One run of each tool, ours first and theirs right after it."""

    ours: Run
    theirs: Run


@dataclass(frozen=True)
class Comparison:
    """All counted pairs on one model; only in ``sampled`` is the process tree's memory known."""

    model: FullSizeModel
    weight_bytes: int
    timed: list[Pair]
    sampled: list[Pair]


def compare(model: FullSizeModel, ours: Tool, theirs: Tool, *, runs: int, warmup: int, memory_runs: int) -> Comparison:
    folder = prepare(model, WORK / "models")

    def pairs(count: int, label: str, *, sample_tree: bool = False) -> list[Pair]:
        found = []
        for number in range(1, count + 1):
            one, other = (run_once(tool, model, folder, sample_tree=sample_tree) for tool in (ours, theirs))
            print(
                f"{model.name}: {label} {number} of {count}: {_wall(one):.2f} s, {_wall(other):.2f} s", file=sys.stderr
            )
            found.append(Pair(one, other))
        return found

    pairs(warmup, "warm-up")
    timed = pairs(runs, "timed")
    sampled = pairs(memory_runs, "memory", sample_tree=True)
    return Comparison(model, (folder / "model.safetensors").stat().st_size, timed, sampled)


# --- the report -------------------------------------------------------------------------------------------------------


def report(comparisons: Sequence[Comparison], python: Path, *, warmup: int) -> str:
    sections = [
        _conditions(comparisons[0], python, warmup=warmup),
        _verdict(comparisons),
        "### Time\n\nSeconds until the command returns: median (least to most). Ratios are ours by theirs, pair by "
        f"pair. Processes left behind lived on for at most {_longest_lingering(comparisons)}; their processor time and "
        "memory count.",
        _time_table(comparisons),
        "### Memory and files\n\nPeak memory in MiB. *Largest process* is the kernel's `ru_maxrss`; *tree* is the most "
        "that all processes held at one moment (sum of PSS, sampled in runs of their own).",
        _memory_table(comparisons),
        "### Where our time goes\n\nMedian seconds, as `result.json` says them. Stages that run side by side both "
        "count in full, so a row may add up to more than the whole.",
        _timings_table(comparisons),
    ]
    return "\n\n".join(sections)


def _conditions(one: Comparison, python: Path, *, warmup: int) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}"
    counts = f"{len(one.timed)} timed and {len(one.sampled)} memory runs of each after {warmup} to warm up"
    return "\n".join(
        [
            f"Measured on {date.today()}: {machine}, Python {platform.python_version()}; {counts}.",
            "",
            f"- ours: {_versions(Path(sys.executable))}",
            f"- theirs: {_versions(python)}",
        ]
    )


def _verdict(comparisons: Sequence[Comparison]) -> str:
    def over_models(ratios: Callable[[Comparison], list[float]]) -> str:
        return f"{statistics.median(statistics.median(ratios(one)) for one in comparisons):.2f}"

    wall = over_models(lambda one: _ratios(one.timed, _wall))
    largest = over_models(lambda one: _ratios(one.timed, _largest))
    tree = over_models(lambda one: _ratios(one.sampled, _tree))
    cases = min(one.timed[0].ours.cases / one.timed[0].theirs.cases for one in comparisons)
    return (
        f"**Median ratio over the models: wall {wall}, largest process {largest}, process tree {tree}; "
        f"at least {cases:.0f} times the cases validated.**"
    )


def _time_table(comparisons: Sequence[Comparison]) -> str:
    header = ("model", "task", "weights MB", "ours s", "theirs s", "wall ratio", "cpu ratio", "cases ours", "theirs")
    return _table(
        header,
        [
            (
                f"{one.model.name} ({one.model.weights})",
                one.model.task,
                f"{one.weight_bytes / 1e6:.0f}",
                *_both(one.timed, _wall, 1),
                _spread(_ratios(one.timed, _wall), 2),
                _spread(_ratios(one.timed, _cpu), 2),
                str(one.timed[0].ours.cases),
                str(one.timed[0].theirs.cases),
            )
            for one in comparisons
        ],
    )


def _memory_table(comparisons: Sequence[Comparison]) -> str:
    header = (
        *("model", "largest process ours", "theirs", "ratio", "tree ours", "theirs", "ratio"),
        *("ONNX MB ours", "theirs"),
    )
    return _table(
        header,
        [
            (
                one.model.name,
                *_both(one.timed, _largest, 0),
                _spread(_ratios(one.timed, _largest), 2),
                *_both(one.sampled, _tree, 0),
                _spread(_ratios(one.sampled, _tree), 2),
                *(f"{run.onnx_bytes / 1e6:.0f} in {run.files}" for run in (one.timed[0].ours, one.timed[0].theirs)),
            )
            for one in comparisons
        ],
    )


def _timings_table(comparisons: Sequence[Comparison]) -> str:
    named = dict.fromkeys(stage for one in comparisons for pair in one.timed for stage in pair.ours.timings)
    stages = [stage for stage in named if stage != "total"]

    def row(one: Comparison) -> list[str]:
        runs = [pair.ours for pair in one.timed]
        seconds = [[run.timings.get(stage, 0.0) for run in runs] for stage in stages]
        # What the tool cannot time itself: the interpreter's start, its own imports, and leaving.
        seconds.append([_wall(run) - run.timings.get("total", _wall(run)) for run in runs])
        seconds.append(list(map(_wall, runs)))
        return [one.model.name, *(f"{statistics.median(values):.2f}" for values in seconds)]

    return _table(("model", *stages, "start and exit", "whole process"), [row(one) for one in comparisons])


def _longest_lingering(comparisons: Sequence[Comparison]) -> str:
    pairs = [pair for one in comparisons for pair in one.timed]
    ours, theirs = (
        max(run.measurement.lingering for run in runs)
        for runs in ([pair.ours for pair in pairs], [pair.theirs for pair in pairs])
    )
    return f"{ours:.2f} s (ours) and {theirs:.2f} s (theirs)"


def _wall(run: Run) -> float:
    """Seconds."""
    return run.measurement.wall


def _cpu(run: Run) -> float:
    """Seconds of user and system time."""
    return run.measurement.cpu


def _largest(run: Run) -> float:
    """MiB of the largest process."""
    return run.measurement.largest_process_bytes / MEBIBYTE


def _tree(run: Run) -> float:
    """MiB of all processes; only runs that were sampled have it."""
    assert run.measurement.tree_bytes is not None
    return run.measurement.tree_bytes / MEBIBYTE


def _ratios(pairs: Sequence[Pair], cost: Callable[[Run], float]) -> list[float]:
    return [cost(pair.ours) / cost(pair.theirs) for pair in pairs]


def _both(pairs: Sequence[Pair], cost: Callable[[Run], float], digits: int) -> tuple[str, str]:
    """Cells for ours and theirs."""
    return _spread([cost(pair.ours) for pair in pairs], digits), _spread([cost(pair.theirs) for pair in pairs], digits)


def _spread(values: Sequence[float], digits: int) -> str:
    middle, least, most = (f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({least} to {most})"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _versions(python: Path) -> str:
    """Names and versions of the packages that matter, as another interpreter has them."""
    script = (
        "import sys\n"
        "from importlib.metadata import distributions\n"
        "found = {package.name: package.version for package in distributions()}\n"
        "print(', '.join(f'{name} {found[name]}' for name in sys.argv[1:] if name in found))\n"
    )
    answer = subprocess.run([str(python), "-c", script, *PACKAGES], check=True, capture_output=True, text=True)
    return answer.stdout.strip()


def write_between_markers(document: Path, text: str) -> None:
    """Replace what an earlier run wrote; the rest of the document stays."""
    before, after = _around_markers(document)
    document.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def _around_markers(document: Path) -> tuple[str, str]:
    before, found, rest = document.read_text().partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise SystemExit(f"{document} has lost its markers {BEGIN} and {END}")
    return before, after


# --- the command ------------------------------------------------------------------------------------------------------


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time our export against optimum's, whole processes, interleaved.")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS), metavar="NAME")
    parser.add_argument("--runs", type=int, default=5, help="timed pairs for each model")
    parser.add_argument("--warmup", type=int, default=1, help="pairs before them that do not count")
    parser.add_argument("--memory-runs", type=int, default=2, help="pairs after them with the process tree sampled")
    parser.add_argument("--peer-python", type=Path, help="interpreter of an environment that has optimum-onnx")
    own = Path(sys.executable).with_name("onnx-export")
    parser.add_argument("--own-command", default=str(own), help="how to start onnx-export; default: this environment's")
    parser.add_argument("--no-document", action="store_true", help="print the tables only")
    arguments = parser.parse_args()
    if arguments.runs < 1 or arguments.memory_runs < 1:
        parser.error("at least one pair must be timed, and one sampled")
    return arguments


def main() -> None:
    arguments = _arguments()
    if not arguments.no_document:
        _around_markers(DOCUMENT)  # known before the hour of measuring, not after
    WORK.mkdir(exist_ok=True)
    if os.getloadavg()[0] > 0.5:
        print(f"the machine is busy (load {os.getloadavg()[0]:.1f}): times will be unsteady", file=sys.stderr)
    python = peer_python(arguments.peer_python)
    ours, theirs = own_tool(arguments.own_command), peer_tool(python)
    counts = {"runs": arguments.runs, "warmup": arguments.warmup, "memory_runs": arguments.memory_runs}
    comparisons = [compare(MODELS[name], ours, theirs, **counts) for name in arguments.models]
    text = report(comparisons, python, warmup=arguments.warmup)
    raw = {one.model.name: {"timed": _as_dicts(one.timed), "sampled": _as_dicts(one.sampled)} for one in comparisons}
    (WORK / "compare_with_optimum.json").write_text(json.dumps(raw, indent=2) + "\n")
    print(text)
    if not arguments.no_document:
        write_between_markers(DOCUMENT, text)


def _as_dicts(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(pair) for pair in pairs]


if __name__ == "__main__":
    main()
