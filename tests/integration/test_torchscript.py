"""TorchScript files: traced, saved, loaded again, and judged as any other; what tracing fixed is found and said."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from onnx_export_action.exporting.engines import torchscript
from onnx_export_action.graphs.torchscript_signature import read_signature
from onnx_export_action.onnx_config import TextEncoderOnnxConfig
from onnx_export_action.pipeline.running import check_folder, export_and_check
from onnx_export_action.project.manifest import read_manifest
from onnx_export_action.proving.candidate.check import check_file
from onnx_export_action.proving.cases.grid import plan_cases
from onnx_export_action.proving.records import CandidateFile, write_record
from onnx_export_action.proving.reference.recording import component_reference
from onnx_export_action.traceable.calling import ModelCall, model_call
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.jobs import Request
from onnx_export_action.vocabulary.manifest import MANIFEST_NAME
from onnx_export_action.vocabulary.options import ExportOptions, OutputTolerance, Tolerances
from onnx_export_action.vocabulary.results import FileResult, Stage, TargetResult, Verdict
from onnx_export_action.vocabulary.supported.engines import Engine
from tests.conftest import CheckpointFactory


def exported(model: Path, folder: Path, task: str = "auto") -> TargetResult:
    options = ExportOptions(engine=Engine.TORCHSCRIPT)
    request = Request(name="it", model=str(model), destination=folder, task=task, options=options)
    return export_and_check(request, progress=lambda _: None)


def test_a_classifier_is_proven_and_answers_as_the_model_does(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    folder = checkpoint("bert", task="text-classification")
    result = exported(folder, tmp_path / "out")
    assert result.verdict is Verdict.PASS, result.failure or result.files[0].failure
    (file,) = result.files
    assert (file.path, file.engine, file.opset) == ("torchscript/model.pt", "torchscript", 0)
    assert all(axis.proven for axis in file.axes)
    assert len(file.cases) >= 8
    (record,) = read_manifest(tmp_path / "out" / MANIFEST_NAME).files
    assert record.sha256 == file.sha256

    program = torch.jit.load(str(tmp_path / "out/torchscript/model.pt"))
    text = AutoTokenizer.from_pretrained(folder)(["We loved it.", "No!"], padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = AutoModelForSequenceClassification.from_pretrained(folder)(**text).logits
        (found,) = program(**text)
    torch.testing.assert_close(found, expected)


def test_a_generator_gives_the_same_tokens_through_its_cache(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    result = exported(checkpoint("gpt2"), tmp_path / "out", task="text-generation-with-past")
    assert result.verdict is Verdict.PASS, result.failure or result.files[0].failure
    generation = result.files[0].generation
    assert generation is not None
    assert generation.equal
    signature = read_signature(tmp_path / "out/torchscript/model.pt")
    assert signature.inputs["past_key_values.0.key"].shape[2] == "past_sequence_length"


def test_files_from_elsewhere_are_never_run(tmp_path: Path, checkpoint: CheckpointFactory) -> None:
    (tmp_path / "torchscript").mkdir()
    (tmp_path / "torchscript/model.pt").write_bytes(b"program")
    request = Request(name="it", model=str(checkpoint("bert")), destination=tmp_path)
    failure = check_folder(request, progress=lambda _: None).failure
    assert failure is not None
    assert failure.stage is Stage.PLAN
    assert "TorchScript files, which are programs" in failure.message


class Tied(torch.nn.Module):
    """A head that shares its embedding's weights."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(12, 4)
        self.head = torch.nn.Linear(4, 12, bias=False)
        self.head.weight = self.embedding.weight
        self.unused = torch.nn.Linear(4, 4)

    def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.head(self.embedding(ids)),)


def call_of(module: torch.nn.Module) -> ModelCall:
    return ModelCall(module.eval(), ["ids"], ["logits"], {"ids": torch.ones(2, 3, dtype=torch.long)}, {})


def test_tied_weights_are_cloned() -> None:
    weights = dict(torchscript.record(call_of(Tied())).program.named_parameters())
    assert weights["head.weight"].data_ptr() != weights["embedding.weight"].data_ptr()
    assert torch.equal(weights["head.weight"], weights["embedding.weight"])


def test_which_weights_a_program_reads() -> None:
    used = torchscript.record(call_of(Tied())).weights
    assert {"head.weight", "embedding.weight"} <= used
    assert "unused.weight" not in used


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, given: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(given)
        return given * 2


class DoubledApart(torch.autograd.Function):
    @staticmethod
    def forward(given: torch.Tensor) -> torch.Tensor:
        return given * 2

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)


class WithFunctions(torch.nn.Module):
    def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor]:
        return (DoubledApart.apply(Doubled.apply(ids.float())),)


def test_functions_with_gradients_of_their_own_become_part_of_the_program(tmp_path: Path) -> None:
    call = call_of(WithFunctions())
    torchscript.record(call).write(tmp_path / "model.pt", ["model"], task="unknown", model_type="unknown")
    (found,) = torch.jit.load(str(tmp_path / "model.pt"))(torch.full((1, 5), 3))
    assert found.tolist() == [[12.0] * 5]


def test_what_a_file_cannot_hold_is_no_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchscript, "_functions_without_gradients", contextlib.nullcontext)
    recording = torchscript.record(call_of(WithFunctions()))
    with pytest.raises(ExportError, match="TorchScript cannot save the model"):
        recording.write(tmp_path / "model.pt", ["model"], task="unknown", model_type="unknown")
    assert list(tmp_path.iterdir()) == []


class Untraceable(torch.nn.Module):
    def forward(self, ids: torch.Tensor) -> Any:
        return ({"a set": {ids}},)


def test_a_model_that_cannot_be_traced_says_so() -> None:
    with pytest.raises(ExportError, match="TorchScript cannot trace the model") as caught:
        torchscript.record(call_of(Untraceable()))
    assert caught.value.stage is Stage.EXPORT


class FixedLength(torch.nn.Module):
    """Reads the length in Python, so that a trace holds the traced one."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.embedding = torch.nn.Embedding(config.vocab_size, 8)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
        places = torch.arange(int(input_ids.shape[1]))
        return {"last_hidden_state": (self.embedding(input_ids) + places[:, None]) * attention_mask[..., None]}


def checked(module: torch.nn.Module, onnx_config: TextEncoderOnnxConfig, folder: Path) -> FileResult:
    call = model_call(module, onnx_config, onnx_config.generate_dummy_inputs("pt"))  # type: ignore[arg-type] # no model of transformers
    torchscript.record(call).write(folder / "model.pt", ["model"], task="unknown", model_type="unknown")
    cases = ((spec, spec.arrays(onnx_config), list[str]()) for spec in plan_cases(onnx_config, seed=0))
    write_record(component_reference(module, "model", onnx_config, cases, folder), folder, "model")
    asked = CandidateFile(path=folder / "model.pt", name="model.pt", components=["model"], engine="torchscript")
    return check_file(Tolerances(of_every_output=OutputTolerance(atol=1e-5)), asked, folder).result


def test_what_tracing_fixed_is_found_and_said(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(checkpoint("bert"))
    torch.manual_seed(0)
    result = checked(FixedLength(config).eval(), TextEncoderOnnxConfig(config), tmp_path)
    assert result.verdict is Verdict.FAIL
    assert result.failure is not None
    assert "sequence_length" in (result.failure.hint or "")
    assert "fixed" in (result.failure.hint or "")
    assert {axis.name for axis in result.axes if axis.proven} == {"batch_size"}
    passing = {case.shape["sequence_length"] for case in result.cases if case.verdict is Verdict.PASS}
    assert passing == {16}
    stopped = [case.message or "" for case in result.cases if case.verdict is not Verdict.PASS]
    assert any(message.startswith("TorchScript stopped: ") for message in stopped)
