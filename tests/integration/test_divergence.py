"""A file that is wrong is looked into: the first layer that differs, the smallest input, and a folder that shows it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from onnx_export_action.pipeline.running import check_folder, export_and_check
from onnx_export_action.proving.explaining.layers import first_divergent
from onnx_export_action.vocabulary.jobs import Request
from onnx_export_action.vocabulary.results import Cause, LayerResult, Verdict
from tests.conftest import CheckpointFactory
from tests.faults.checking import Exports, find
from tests.faults.collection import FAULTS
from tests.faults.surgery import Surgery


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    return Exports(tmp_path_factory.mktemp("exports"))


@pytest.mark.parametrize(
    ("export", "fault", "layer", "trigger"),
    [
        (
            "encoder",
            "mask ignored in the second layer",
            "encoder.layer.1.attention.self",
            "sequence_length 2 (1 passes)",
        ),
        ("encoder", "GELU replaced by its tanh form", "encoder.layer.0.intermediate.intermediate_act_fn", "no padding"),
        ("encoder", "wrong at a batch above 2", "encoder.layer.0.attention.self.query", "batch_size 3 (2 passes)"),
        ("encoder", "length fixed deep in a Reshape", "encoder.layer.1.attention.self", "batch_size 1"),
        (
            "decoder",
            "past values of one layer ignored",
            "transformer.h.1.attn.c_proj",
            "past_sequence_length 1 (0 passes)",
        ),
        ("decoder", "logits scaled", "output logits", "sequence_length 1"),
        ("vision", "colours in reverse order", "vit.embeddings.patch_embeddings.projection", "batch_size 1"),
        ("int8 encoder", "zero point wrong", "encoder.layer.0.attention.self.value", "sequence_length 1"),
    ],
)
def test_the_first_layer_that_differs_is_named(
    exports: Exports, tmp_path: Path, export: str, fault: str, layer: str, trigger: str
) -> None:
    finding = find(next(f for f in FAULTS if (f.export, f.name) == (export, fault)), exports, tmp_path)
    assert finding.result.failure is not None
    assert finding.result.failure.first_divergent_layer == layer
    assert trigger in (finding.result.failure.trigger or "")


def test_a_weight_that_is_not_the_checkpoints_is_named(exports: Exports, tmp_path: Path) -> None:
    finding = find(next(fault for fault in FAULTS if fault.name == "one weight row zeroed"), exports, tmp_path)
    assert "differs from the checkpoint: encoder.layer.1.attention.self.value.weight" in finding.words


def test_a_module_without_a_counterpart_in_the_graph_is_not_accused() -> None:
    def layers(*errors: float) -> list[LayerResult]:
        return [LayerResult(name=str(number), error=error) for number, error in enumerate(errors)]

    assert first_divergent(layers(0.0, 1e-7, 1.3, 1e-7, 2e-7, 1e-7)) is None
    assert first_divergent(layers(0.0, 1.3, 1e-7, 0.9, 2e-7, 1e-3, 2e-3, 1e-3)) == "5"
    assert first_divergent(layers(5e-3, 5e-3, 6e-3, 0.4, 0.3, 0.3), quantised=True) == "3"


def test_a_wrong_file_is_explained_beside_its_folder_and_shown_by_a_script_alone(
    checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    model = str(checkpoint("bert", task="text-classification"))
    destination = tmp_path / "made"
    request = Request(name="made", model=model, destination=destination, task="text-classification")
    assert export_and_check(request, progress=lambda _: None).verdict is Verdict.PASS
    good = (destination / "onnx" / "model.onnx").read_bytes()

    surgery = Surgery(onnx.load(destination / "onnx" / "model.onnx"))
    surgery.change_weight("bert.encoder.layer.1.output.dense.bias", lambda bias: bias * 1.5)
    onnx.save(surgery.in_order(), destination / "onnx" / "model.onnx")
    result = check_folder(request, progress=lambda _: None)
    failure = result.files[0].failure
    assert failure is not None
    assert (failure.cause, failure.first_divergent_layer) == (Cause.VALUES, "bert.encoder.layer.1.output.dense")
    assert [layer.name for layer in failure.layers][-1] == "output logits"
    repro = tmp_path / "made.repro" / "model"
    assert failure.repro == os.path.relpath(repro)
    assert {path.name for path in repro.iterdir()} == {"inputs.npz", "pytorch.npz", "onnx.npz", "reproduce.py"}

    # Without this project on the path, from elsewhere.
    shown = subprocess.run(
        [sys.executable, "-I", repro / "reproduce.py"], cwd="/", capture_output=True, text=True, check=True
    )
    assert "logits" in shown.stdout
    assert float(shown.stdout.rsplit(":", 1)[1]) == pytest.approx(result.files[0].cases[0].max_abs or 0.0, rel=50)

    (destination / "onnx" / "model.onnx").write_bytes(good)
    assert check_folder(request, progress=lambda _: None).verdict is Verdict.PASS
    assert not (tmp_path / "made.repro").exists()


def test_what_breaks_while_looking_is_a_note_and_the_verdict_stays(
    checkpoint: CheckpointFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnx_export_action.pipeline.explaining._PATIENCE_SECONDS", 0.0)
    model = str(checkpoint("vit", task="image-classification"))
    request = Request(name="made", model=model, destination=tmp_path / "made", task="image-classification")
    export_and_check(request, progress=lambda _: None)
    surgery = Surgery(onnx.load(tmp_path / "made" / "onnx" / "model.onnx"))
    surgery.change_weight("classifier.bias", lambda bias: bias + 0.5)
    onnx.save(surgery.in_order(), tmp_path / "made" / "onnx" / "model.onnx")
    result = check_folder(request, progress=lambda _: None)
    assert result.verdict is Verdict.FAIL
    assert result.files[0].failure is not None
    assert any("did not end within" in note for note in result.notes)
    assert not (tmp_path / "made.repro").exists()
