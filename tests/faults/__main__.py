"""Try the whole collection, and what the peer says of the same files; write the table of docs/validation.md.

    python -m tests.faults [--peer-python PYTHON]

Exit code 1 when a broken file passes or is accused of the wrong thing, or a good one is accused.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.compare_with_optimum import peer_python

from tests.faults.checking import Exports, Finding, find
from tests.faults.collection import FAULTS
from tests.faults.exports import INT8, MODELS, Proven, proven
from tests.faults.variations import VARIATIONS

DOCUMENT = Path(__file__).parents[2] / "docs" / "validation.md"
BEGIN = "<!-- faults: made by `make faults`, do not edit -->"
END = "<!-- faults: end -->"
_VARIED = [(name, "model") for name in MODELS if name != "encoder-decoder"] + [
    ("encoder-decoder", stem) for stem in ("encoder_model", "decoder_model", "decoder_with_past_model")
]
_TEMPORARY = re.compile(r"\S*/onnx-export-faults-\w+/\d+/")
_SECOND_ENGINE = ("encoder", "vision")


@dataclass(frozen=True)
class Good:
    """A good file and why it was accused, if it was."""

    name: str
    stem: str
    export: str
    path: Path
    alarm: str | None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--peer-python", type=Path, help="interpreter of an environment with optimum-onnx 0.1.0")
    peer = peer_python(parser.parse_args().peer_python)
    with tempfile.TemporaryDirectory(prefix="onnx-export-faults-") as folder:
        exports = Exports(Path(folder) / "exports")
        goods = list(_goods(exports, Path(folder) / "good"))
        findings = []
        for number, fault in enumerate(FAULTS):
            place = Path(folder) / str(number)
            place.mkdir()
            findings.append(find(fault, exports, place))
            print(_line(findings[-1]), flush=True)
        paths = [
            (fault.export, fault.stem, Path(folder) / str(number) / f"{fault.stem}.onnx")
            for number, fault in enumerate(FAULTS)
        ]
        answers = _peer_answers(peer, exports, [(good.export, good.stem, good.path) for good in goods] + paths)
    alarms = [good for good in goods if good.alarm is not None]
    for good in alarms:
        print(f"FALSE ALARM {good.export} {good.name}: {good.alarm}")
    _write(_section(findings, goods, answers[: len(goods)], answers[len(goods) :]))
    return 0 if not alarms and all(finding.right for finding in findings) else 1


def _line(finding: Finding) -> str:
    word = "ok   " if finding.right else "CAUSE" if finding.caught else "MISSED"
    return f"{word} {finding.fault.export}: {finding.fault.name}: {finding.cause}: {finding.words[:200]}"


def _goods(exports: Exports, folder: Path) -> list[Good]:
    """The exports as they are, in every variation, and from the second engine."""
    goods = []
    for name in [*MODELS, INT8]:
        export = exports[name]
        for record in export.files:
            stem = Path(record.path).stem
            goods.append(_good(name, "as exported", export, export.path(stem), stem))
    for name, stem in _VARIED:
        for variation, change in VARIATIONS.items():
            path = folder / f"{name} {stem} {variation}" / f"{stem}.onnx"
            path.parent.mkdir(parents=True)
            change(exports[name].model(stem), path)
            goods.append(_good(name, variation, exports[name], path, stem))
    for name in _SECOND_ENGINE:
        export = proven(exports[name].checkpoint, folder / f"second {name}", MODELS[name][2], "torch-export")
        goods.append(_good(name, "torch.export", export, export.path(), "model"))
    return goods


def _good(name: str, variation: str, export: Proven, path: Path, stem: str) -> Good:
    failure = export.check(path, stem).failure
    return Good(variation, stem, name, path, None if failure is None else failure.message)


def _peer_answers(python: Path, exports: Exports, files: Sequence[tuple[str, str, Path]]) -> list[str]:
    asked = [
        {
            "checkpoint": str(exports[export].checkpoint),
            "task": MODELS["encoder" if export == INT8 else export][2],
            "stem": "model" if export == INT8 else stem,
            "path": str(path),
        }
        for export, stem, path in files
    ]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # Forked processes and threads do not go together.
    environment |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, Path(__file__).with_name("peer.py")],
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment,
    )
    return [str(answer) for answer in json.loads(done.stdout)]


# --- the table --------------------------------------------------------------------------------------------------------


def _section(findings: Sequence[Finding], goods: Sequence[Good], peer_goods: list[str], peer: list[str]) -> str:
    caught = sum(finding.caught for finding in findings)
    right = sum(finding.right for finding in findings)
    seen_by_peer = sum(answer != "passes" for answer in peer)
    alarms = sum(good.alarm is not None for good in goods)
    peer_alarms = [good for good, answer in zip(goods, peer_goods, strict=True) if answer != "passes"]
    rows = [
        f"| {_place(finding)} | {finding.fault.name} | {_own_words(finding)} | {_layer(finding)} | "
        f"{_peer_word(answer)} |"
        for finding, answer in zip(findings, peer, strict=True)
    ]
    return "\n".join(
        [
            f"Of {len(findings)} broken files {caught} are caught, {right} with the right kind of cause; "
            f"`validate_model_outputs` of optimum-onnx 0.1.0 accuses {seen_by_peer} of them.",
            "",
            f"Of {len(goods)} good files (as exported, from the second engine, and changed by other tools without a "
            f"change of answers: {', '.join(VARIATIONS)}) {alarms} are accused; optimum accuses {len(peer_alarms)}"
            f"{_named(peer_alarms)}.",
            "",
            "| File | What was done to it | What is said of it | First layer that differs | optimum-onnx 0.1.0 |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )


def _place(finding: Finding) -> str:
    stem = finding.fault.stem
    return finding.fault.export if stem == "model" else f"{finding.fault.export}, `{stem}`"


def _own_words(finding: Finding) -> str:
    failure = finding.result.failure
    if failure is None:
        return "**passes**"
    said = failure.hint if failure.hint is not None and finding.result.cases else failure.message
    return f"**{finding.cause}**{'' if finding.right else ' (wrong)'}: {_cell(said)}"


def _layer(finding: Finding) -> str:
    failure = finding.result.failure
    return f"`{failure.first_divergent_layer}`" if failure is not None and failure.first_divergent_layer else ""


def _peer_word(answer: str) -> str:
    """The error alone; its text is the same for all of its kind."""
    return answer.partition(":")[0]


def _cell(text: str) -> str:
    first = _TEMPORARY.sub("", text.splitlines()[0])
    shown = first if len(first) <= 160 else f"{first[:159]}…"
    return shown.replace("|", "\\|").replace("<", "&lt;")


def _named(goods: Sequence[Good]) -> str:
    names = sorted({good.name if good.name in VARIATIONS else f"{good.export} {good.name}" for good in goods})
    return f" ({', '.join(names)})" if names else ""


def _write(section: str) -> None:
    text = DOCUMENT.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    DOCUMENT.write_text(f"{head}{BEGIN}\n{section}\n{END}{tail}")


if __name__ == "__main__":
    sys.exit(main())
