"""The benchmark's tables say what was measured, and the document around them is left alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmarks.compare_with_optimum import BEGIN, END, Comparison, Pair, Run, peer_tool, report, write_between_markers
from benchmarks.full_size_models import MODELS
from benchmarks.process_measurement import Measurement

MEBIBYTE = 2**20


def run(wall: float, *, mebibytes: int, cases: int = 1, tree: int | None = None, **timings: float) -> Run:
    tree_bytes = tree * MEBIBYTE if tree is not None else None
    measurement = Measurement(0, wall, 0.0, wall, mebibytes * MEBIBYTE, tree_bytes)
    return Run(measurement, files=1, onnx_bytes=90_000_000, cases=cases, timings=timings)


def test_ratios_are_taken_pair_by_pair() -> None:
    # A slow minute in the second pair: the ratio of the medians would be 0.64, and neither pair had that.
    timed = [
        Pair(run(4.0, mebibytes=500, cases=12, load=1.0, total=3.5), run(8.0, mebibytes=1000)),
        Pair(run(10.0, mebibytes=500, cases=12, load=2.0, total=9.0), run(20.0, mebibytes=1000)),
        Pair(run(9.0, mebibytes=500, cases=12, load=2.0, total=8.0), run(14.0, mebibytes=1000)),
    ]
    sampled = [Pair(run(4.0, mebibytes=500, tree=600), run(8.0, mebibytes=1000, tree=800))]
    text = report([Comparison(MODELS["minilm"], 91_000_000, timed, sampled)], Path(sys.executable), warmup=1)
    assert "wall 0.50, largest process 0.50, process tree 0.75; at least 12 times the cases" in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| minilm")]
    assert rows[0][3:6] == ["9.0 (4.0 to 10.0)", "14.0 (8.0 to 20.0)", "0.50 (0.50 to 0.64)"]
    assert rows[1][4:7] == ["600 (600 to 600)", "800 (800 to 800)", "0.75 (0.75 to 0.75)"]
    assert rows[2] == ["| minilm", "2.00", "1.00", "9.00 |"]


def test_only_the_part_between_the_markers_is_replaced(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_between_markers(document, "first")
    write_between_markers(document, "second")
    assert document.read_text() == f"before\n{BEGIN}\n\nsecond\n\n{END}\nafter\n"


def test_a_document_that_lost_a_marker_is_refused_and_kept(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text(f"before\n{BEGIN}\nold\n")
    with pytest.raises(SystemExit, match="lost its markers"):
        write_between_markers(document, "new")
    assert document.read_text() == f"before\n{BEGIN}\nold\n"


@pytest.mark.parametrize(
    ("names", "cases"),
    [
        (["model.onnx"], 1),
        (["encoder_model.onnx", "decoder_model.onnx", "decoder_with_past_model.onnx", "decoder_model_merged.onnx"], 3),
    ],
)
def test_the_peer_is_credited_with_the_cases_it_runs(tmp_path: Path, names: list[str], cases: int) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert peer_tool(Path(sys.executable)).read(tmp_path) == (cases, {})
