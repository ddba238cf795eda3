"""What a target declares of its inputs, outputs and axes, against real models; and configuration classes of its own."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
import torch

from onnx_export_action.configuring.configuration import onnx_config_for
from onnx_export_action.configuring.declaring import declared_onnx_config
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.pipeline.planning import plan_job, request_of
from onnx_export_action.pipeline.running import check_folder, export_and_check
from onnx_export_action.project.settings import load_settings
from onnx_export_action.proving.cases.grid import plan_cases
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.results import Stage, TargetResult, Verdict
from tests.architectures.tiny import write_tiny_config
from tests.conftest import CheckpointFactory
from tests.unit.onnx_config.signatures import signature

CLASSES = """\
from collections import OrderedDict
import json
from pathlib import Path
from onnx_export_action.onnx_config import OnnxConfig, TextEncoderOnnxConfig

Path("ran").touch()


class Own(OnnxConfig):
    @property
    def inputs(self):
        axes = {0: "batch", 1: "sequence"}
        return OrderedDict([("input_ids", axes), ("attention_mask", axes)])


class Abstract(OnnxConfig):
    pass


class Raising(TextEncoderOnnxConfig):
    def __init__(self, config, task):
        raise ValueError("no such thing")


class Other:
    pass
"""
RAISING_LINE = next(number for number, line in enumerate(CLASSES.splitlines(), start=1) if "no such thing" in line)


@pytest.fixture
def declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``declared(model, lines)``: the configuration of a model in memory with the lines of a target."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()

    def make(kind: str, task: str, *lines: str) -> OnnxConfig:
        from onnx_export_action.loading.model import load_model

        folder = tmp_path / "models" / kind
        if not folder.exists():
            write_tiny_config(kind, folder)
        head = ["version: 1", "targets:", "- name: it", f"  model: models/{kind}", "  weights: random"]
        text = "\n".join([*head, f"  task: {task}", *(f"  {line}" for line in lines)])
        (tmp_path / "onnx-export.yaml").write_text(f"{text}\n")
        (target,) = load_settings(Path("onnx-export.yaml")).targets
        job = plan_job(request_of(target, tmp_path / "out", trust_remote_code=True))
        return onnx_config_for(load_model(job).model, job)

    return make


def refused(declared: Any, *arguments: str) -> str:
    with pytest.raises(ExportError) as caught:
        declared(*arguments)
    assert caught.value.stage is Stage.PLAN
    return ": ".join(part for part in (caught.value.message, caught.value.hint) if part)


@pytest.mark.parametrize(
    ("kind", "task", "lines", "expected"),
    [
        (
            "bert",
            "text-classification",
            ["inputs: {input_ids: {0: batch_size, 1: sequence_length}}"],
            "input_ids[batch_size, sequence_length] -> logits[batch_size]",
        ),
        (
            "bert",
            "feature-extraction",
            ["inputs: {input_ids: {0: batch, 1: sequence}}"],
            "input_ids[batch, sequence] -> last_hidden_state[batch, sequence]",
        ),
        (
            "bert",
            "feature-extraction",
            [
                "inputs: {inputs_embeds: {0: batch_size, 1: sequence_length, 2: 32}}",
                "outputs: {pooler_output: {}, last_hidden_state: {1: tokens}}",
            ],
            "inputs_embeds[batch_size, sequence_length] "
            "-> pooler_output[batch_size] last_hidden_state[batch_size, tokens]",
        ),
        (
            "t5",
            "text2text-generation",
            [
                "inputs:",
                "  input_ids: {0: batch_size, 1: encoder_sequence_length}",
                "  decoder_input_ids: {0: batch_size, 1: decoder_sequence_length}",
            ],
            "input_ids[batch_size, encoder_sequence_length] decoder_input_ids[batch_size, decoder_sequence_length] "
            "-> logits[batch_size, decoder_sequence_length]",
        ),
        (
            "wav2vec2",
            "automatic-speech-recognition",
            ["inputs: {input_values: {0: batch, 1: sequence}}"],
            "input_values[batch, sequence] -> logits[batch, num_frames]",
        ),
        (
            "biogpt",
            "text-classification",
            ["inputs: {input_ids: {1: sequence_length}}"],
            "input_ids[1: sequence_length] -> logits[]",
        ),
        (
            "fnet",
            "fill-mask",
            [
                "inputs:",
                "  input_ids: {0: batch_size, 1: sequence_length}",
                "  token_type_ids: {0: batch_size, 1: sequence_length}",
            ],
            "input_ids[batch_size, sequence_length] token_type_ids[batch_size, sequence_length] "
            "-> logits[batch_size, sequence_length]",
        ),
    ],
)
def test_what_is_declared_is_what_the_file_has(
    declared: Any, kind: str, task: str, lines: list[str], expected: str
) -> None:
    found = declared(kind, task, *lines)
    assert signature(found) == expected
    assert any(case.varied for case in plan_cases(found, seed=0))


def test_declared_sizes_are_the_only_ones(declared: Any) -> None:
    axes = "{0: batch_size, 1: 24}"
    found = declared("bert", "fill-mask", f"inputs: {{input_ids: {axes}, attention_mask: {axes}}}")
    assert found.inputs["input_ids"] == {0: "batch_size"}
    assert {case.arrays(found)["attention_mask"].shape[1] for case in plan_cases(found, seed=0)} == {24}


def test_a_cache_that_is_not_declared_stays_under_the_declared_names(declared: Any) -> None:
    found = declared(
        "gpt2",
        "text-generation-with-past",
        "inputs:",
        "  input_ids: {0: batch, 1: sequence}",
        "  attention_mask: {0: batch, 1: past_sequence + sequence}",
    )
    assert found.inputs["past_key_values.1.value"] == {0: "batch", 2: "past_sequence"}
    assert found.outputs["present.0.key"] == {0: "batch", 2: "past_sequence + sequence"}
    assert found.outputs["logits"] == {0: "batch", 1: "sequence"}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            "inputs: {input_idz: {0: batch_size}}",
            "onnx-export.yaml:7:12: BertForMaskedLM takes no input 'input_idz': did you mean 'input_ids'?",
        ),
        (
            "inputs: {input_ids: {0: batch_size, 5: sequence_length}}",
            "onnx-export.yaml:7:39: input_ids has 2 axes, counted from 0: there is no axis 5",
        ),
        (
            "inputs: {input_ids: {0: sequence_length, 1: batch_size}}",
            "onnx-export.yaml:7:24: axis 0 of input_ids is no sequence_length: it varies with batch_size",
        ),
        (
            "inputs: {input_ids: {0: batch_size, 1: sequence_length}, attention_mask: {0: batch_size}}",
            "onnx-export.yaml:7:60: axis 1 of attention_mask is not declared, but varies together with axis 1",
        ),
        (
            "inputs: {input_ids: {0: batch_size, 1: 4000}}",
            "onnx-export.yaml:7:39: sequence_length cannot be 4000: it must be 1 to 96",
        ),
        (
            "inputs: {inputs_embeds: {0: batch_size, 1: sequence_length, 2: 31}}",
            "onnx-export.yaml:7:12: the model does not run with what is declared: ",
        ),
        (
            "outputs: {logitz: {}}",
            "onnx-export.yaml:7:13: the model gives no output named 'logitz' (it gives: logits)",
        ),
        (
            "outputs: {logits: {2: vocabulary}}",
            "onnx-export.yaml:7:22: axis 2 (vocabulary) of the output logits does not vary: it is 128",
        ),
        ("outputs: {logits: {7: words}}", "onnx-export.yaml:7:22: there is no axis 7 of the output logits"),
    ],
)
def test_what_does_not_fit_the_model_is_said_at_its_place(declared: Any, lines: str, words: str) -> None:
    assert refused(declared, "bert", "fill-mask", lines).startswith(words)


def test_a_declaration_cannot_describe_several_files(declared: Any) -> None:
    said = refused(
        declared, "t5", "text2text-generation-with-past", "inputs: {input_ids: {0: batch_size, 1: sequence_length}}"
    )
    assert said.startswith("onnx-export.yaml:7:12: text2text-generation-with-past becomes several files")


class Recogniser(torch.nn.Module):
    """A model of no known kind: what it takes is known from its declaration alone."""

    config = SimpleNamespace(vocab_size=50, is_encoder_decoder=False)

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(50, 8)

    def forward(self, glyphs: torch.Tensor, strokes: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"features": self.embedding(glyphs) + strokes}


def test_inputs_of_any_name_are_made_from_their_axes(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "onnx-export.yaml").write_text(
        "version: 1\ntargets:\n- name: it\n  model: ./model\n"
        "  inputs: {glyphs: {0: batch_size, 1: sequence_length}, "
        "strokes: {0: batch_size, 1: sequence_length, 2: 8}}\n"
    )
    (target,) = load_settings(tmp_path / "onnx-export.yaml").targets
    found = declared_onnx_config(Recogniser(), "feature-extraction", target.options.declaration, None)
    inputs = found.generate_dummy_inputs("np", batch_size=3, sequence_length=5)
    assert (inputs["glyphs"].shape, inputs["glyphs"].dtype) == ((3, 5), "int64")
    assert (inputs["strokes"].shape, inputs["strokes"].dtype) == ((3, 5, 8), "float32")
    assert found.outputs == {"features": {0: "batch_size", 1: "sequence_length"}}


def run(folder: Path, *lines: str, trust: bool = False) -> TargetResult:
    text = "\n".join(f"  {line}" for line in lines)
    (folder / "onnx-export.yaml").write_text(f"version: 1\ntargets:\n- name: it\n{text}\n")
    (target,) = load_settings(folder / "onnx-export.yaml").targets
    return export_and_check(request_of(target, folder / "out", trust_remote_code=trust), progress=lambda _: None)


@pytest.fixture
def repository(tmp_path: Path, own_checkpoint: CheckpointFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    own_checkpoint("bert", task="text-classification").rename(tmp_path / "bert")
    (tmp_path / "classes.py").write_text(CLASSES)
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_declared_export_is_proven_and_says_what_was_declared(repository: Path) -> None:
    write_tiny_config("biogpt", repository / "biogpt")
    result = run(
        repository,
        "model: ./biogpt",
        "weights: random",
        "task: feature-extraction",
        "inputs: {input_ids: {0: batch_size, 1: sequence_length}}",
        "outputs: {last_hidden_state: {}}",
    )
    assert result.verdict is Verdict.PASS, result.failure
    assert any("declared in the settings: inputs input_ids; outputs last_hidden_state" in note for note in result.notes)
    graph = onnx.load(repository / "out/onnx/model.onnx", load_external_data=False).graph
    assert [value.name for value in graph.output] == ["last_hidden_state"]
    assert all(axis.proven for axis in result.files[0].axes)


def test_a_class_of_the_repository_runs_only_when_it_may(repository: Path) -> None:
    refusal = run(repository, "model: ./bert", "onnx_config: classes.py:Own").failure
    assert refusal is not None
    assert refusal.stage is Stage.PLAN
    assert "onnx-export.yaml:5:16" in refusal.message
    assert "--trust-remote-code" in (refusal.hint or "")
    assert not (repository / "ran").exists()

    result = run(repository, "model: ./bert", "onnx_config: classes.py:Own", trust=True)
    assert result.verdict is Verdict.PASS, result.failure
    assert {axis.name for axis in result.files[0].axes} == {"batch", "sequence"}
    assert "the configuration is the class Own of classes.py, code of the repository" in result.notes
    assert (repository / "ran").exists()
    assert not (repository / "__pycache__").exists()


def test_a_file_that_the_class_of_the_repository_does_not_name_is_refused_at_once(repository: Path) -> None:
    """No process waits for PyTorch to run a part that the model does not have."""
    run(repository, "model: ./bert", "onnx_config: classes.py:Own", trust=True)
    (target,) = load_settings(repository / "onnx-export.yaml").targets
    request = request_of(target, repository / "out", trust_remote_code=True)
    assert check_folder(request, progress=lambda _: None).verdict is Verdict.PASS
    (repository / "out/onnx/model.onnx").rename(repository / "out/onnx/half.onnx")
    failure = check_folder(request, progress=lambda _: None).failure
    assert failure is not None
    assert (failure.message, failure.hint) == (
        "onnx/half.onnx computes nothing that the model does for this task",
        "its files are: model.onnx",
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Owm", "classes.py has no class 'Owm': did you mean 'Own'?"),
        ("Other", "Other of classes.py is no subclass of OnnxConfig"),
        ("Abstract", "Abstract does not say its inputs"),
        ("Raising", f"Raising cannot be made: ValueError: no such thing (classes.py:{RAISING_LINE})"),
    ],
)
def test_what_is_wrong_with_a_class_is_said_with_its_line(declared: Any, tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "classes.py").write_text(CLASSES)
    assert refused(declared, "bert", "fill-mask", f"onnx_config: classes.py:{name}").startswith(
        f"onnx-export.yaml:7:16: {words}"
    )


def test_a_file_that_does_not_run_is_an_error_of_the_plan(declared: Any, tmp_path: Path) -> None:
    (tmp_path / "classes.py").write_text("import sys\nsys.exit(0)\n")
    assert "classes.py does not run: SystemExit: 0 (classes.py:2)" in refused(
        declared, "bert", "fill-mask", "onnx_config: classes.py:Own"
    )


MODEL_CODE = """\
import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput


class GlyphsConfig(PreTrainedConfig):
    model_type = "glyphs"

    def __init__(self, vocab_size=40, hidden_size=16, **more):
        self.vocab_size, self.hidden_size = vocab_size, hidden_size
        super().__init__(**more)


class GlyphsModel(PreTrainedModel):
    config_class = GlyphsConfig

    def __init__(self, config):
        super().__init__(config)
        self.embedding = torch.nn.Embedding(config.vocab_size, config.hidden_size)
        self.layer = torch.nn.Linear(config.hidden_size, config.hidden_size)
        self.post_init()

    def forward(self, glyphs, strokes):
        return BaseModelOutput(last_hidden_state=torch.tanh(self.layer(self.embedding(glyphs) + strokes)))
"""


def test_a_type_of_the_repositorys_own_with_inputs_of_its_own(repository: Path) -> None:
    folder = repository / "glyphs"
    folder.mkdir()
    (folder / "glyphs.py").write_text(MODEL_CODE)
    names = {"AutoConfig": "glyphs.GlyphsConfig", "AutoModel": "glyphs.GlyphsModel"}
    config = {"model_type": "glyphs", "architectures": ["GlyphsModel"], "auto_map": names}
    (folder / "config.json").write_text(json.dumps(config))
    lines = [
        "model: ./glyphs",
        "weights: random",
        "inputs:",
        "  glyphs: {0: batch_size, 1: sequence_length}",
        "  strokes: {0: batch_size, 1: sequence_length, 2: 16}",
    ]
    assert run(repository, *lines).verdict is Verdict.ERROR
    result = run(repository, *lines, trust=True)
    assert result.verdict is Verdict.PASS, result.failure or result.files[0].failure
    assert {(axis.input, axis.name) for axis in result.files[0].axes if axis.proven} == {
        ("glyphs", "batch_size"),
        ("glyphs", "sequence_length"),
        ("strokes", "batch_size"),
        ("strokes", "sequence_length"),
    }
