"""A test of the test: good files pass; files broken in the ways that reach production are accused, with the cause."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from onnx_export_action.pipeline.planning import plan_job
from onnx_export_action.proving.candidate.check import check_file
from onnx_export_action.proving.records import CandidateFile, ReferenceReader
from onnx_export_action.proving.reference.recording import make_reference
from onnx_export_action.vocabulary.jobs import Request
from onnx_export_action.vocabulary.options import OutputTolerance, Tolerances
from onnx_export_action.vocabulary.results import Verdict
from tests.conftest import CheckpointFactory
from tests.faults.checking import Exports, find
from tests.faults.collection import FAULTS, Fault
from tests.faults.exports import Proven, proven


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    return Exports(tmp_path_factory.mktemp("exports"))


@pytest.fixture
def encoder(exports: Exports) -> Proven:
    return exports["encoder"]


@pytest.fixture
def decoder(exports: Exports) -> Proven:
    return exports["decoder"]


# `make faults` tries them all.
QUICK = [fault for fault in FAULTS if not fault.isolated and fault.export in ("encoder", "decoder", "vision")][::2]


@pytest.mark.parametrize("fault", QUICK, ids=lambda fault: fault.slug)
def test_a_broken_file_is_accused_of_the_right_thing(fault: Fault, exports: Exports, tmp_path: Path) -> None:
    finding = find(fault, exports, tmp_path, look_inside="another model" in fault.name)
    assert finding.caught
    assert finding.right, f"{finding.cause}: {finding.words}"


def test_good_files_pass_with_every_axisproven(encoder: Proven, decoder: Proven) -> None:
    for export in (encoder, decoder):
        result = export.check(export.path())
        assert result.verdict is Verdict.PASS, result.failure
        assert result.axes
        assert all(axis.proven for axis in result.axes)
        assert len(result.cases) >= 8
        assert (result.worst_margin or 1.0) < 0.5


def test_the_tolerance_is_calibrated_and_says_how(encoder: Proven) -> None:
    (output,) = encoder.check(encoder.path()).outputs
    assert output.tolerance_source == "calibrated"
    assert output.noise
    assert output.noise_multiple
    assert output.atol == max(output.noise * output.noise_multiple, output.noise_floor or 0.0)
    assert output.atol < 1e-4
    assert output.max_rms is not None
    assert output.rms_tolerance is not None
    assert 0.0 < output.max_rms < output.rms_tolerance


def test_a_model_too_large_for_float64_keeps_the_default_table_and_says_so(
    checkpoint: CheckpointFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnx_export_action.proving.reference.calibration.MEMORY_BUDGET", 1000)
    model = checkpoint("bert", task="feature-extraction")
    job = plan_job(
        Request(name="target", model=str(model), destination=tmp_path / "destination", task="feature-extraction")
    )
    references = tmp_path / "references"
    references.mkdir()
    (note,) = make_reference(job, references).notes
    assert "default" in note
    assert "not calibrated" in note
    assert ReferenceReader(references).component("model").outputs["last_hidden_state"].noise is None


def test_the_decoder_generates_the_tokens_that_pytorch_does(decoder: Proven) -> None:
    generation = decoder.check(decoder.folder / decoder.files[0].path).generation
    assert generation is not None
    assert generation.equal
    assert (generation.prompts, generation.tokens) == (3, 32)


def test_a_file_that_is_no_onnx_is_an_error_and_no_pass(encoder: Proven, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    result = encoder.check(tmp_path / "model.onnx")
    assert result.verdict is Verdict.ERROR
    assert result.failure is not None
    assert "does not load" in result.failure.message


def test_a_file_that_changed_after_it_was_written_is_an_error(encoder: Proven, tmp_path: Path) -> None:
    model = encoder.model()
    onnx.save(model, tmp_path / "model.onnx")
    result = encoder.check(tmp_path / "model.onnx", sha256="0" * 64)
    assert result.verdict is Verdict.ERROR
    assert result.failure is not None
    assert "changed" in result.failure.message


def test_a_declared_tolerance_wins(encoder: Proven) -> None:
    path = encoder.folder / encoder.files[0].path
    tight = Tolerances(of_variants={"fp32": {"last_hidden_state": OutputTolerance(atol=1e-9, rtol=1e-9)}})
    asked = CandidateFile(path=path, name="model.onnx", components=["model"], engine="tracer", opset=18)
    result = check_file(tight, asked, encoder.references).result
    assert result.verdict is Verdict.FAIL
    assert (result.outputs[0].atol, result.outputs[0].tolerance_source) == (1e-9, "declared")


def test_a_model_without_signal_is_vacuous_and_no_pass(own_checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = own_checkpoint("bert", task="text-classification")
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: array * (0 if "classifier" in name else 1) for name, array in weights.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    export = proven(folder, tmp_path, "text-classification")
    result = export.check(export.path())
    assert result.verdict is Verdict.FAIL
    assert result.failure is not None
    assert "vacuous" in result.failure.message
    assert result.outputs[0].vacuous
