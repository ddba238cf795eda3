"""What clients are told beside the files of a real export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig

from onnx_export_action.exporting.companions.facts import decoder_facts
from onnx_export_action.pipeline.running import export_and_check
from onnx_export_action.project.manifest import read_manifest, sha256_of
from onnx_export_action.vocabulary.jobs import Request
from onnx_export_action.vocabulary.options import ExportOptions
from onnx_export_action.vocabulary.results import TargetResult, Verdict
from tests.architectures.tiny import tiny_config, write_tiny_config
from tests.conftest import CheckpointFactory


def exported(model: Path, folder: Path, task: str, **options: Any) -> TargetResult:
    request = Request(
        name=folder.name, model=str(model), destination=folder, task=task, options=ExportOptions(**options)
    )
    return export_and_check(request, progress=lambda _: None)


def test_a_text_decoder_has_a_genai_config_that_the_manifest_lists(
    checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    model, folder = checkpoint("llama"), tmp_path / "llama"
    generation = json.loads((model / "generation_config.json").read_bytes())
    assert exported(model, folder, "text-generation-with-past").verdict is Verdict.PASS
    told = json.loads((folder / "genai_config.json").read_bytes())["model"]
    config = AutoConfig.from_pretrained(model)
    assert told["context_length"] == config.max_position_embeddings
    assert told["decoder"]["num_hidden_layers"] == config.num_hidden_layers
    assert told["decoder"]["num_key_value_heads"] == config.num_key_value_heads
    assert told["decoder"]["head_size"] == config.hidden_size // config.num_attention_heads
    assert {told[name] == generation[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")} == {True}
    assert (folder / told["decoder"]["filename"]).is_file()
    listed = {record.path: record.sha256 for record in read_manifest(folder / "manifest.json").other_files}
    assert listed["genai_config.json"] == sha256_of(folder / "genai_config.json")


@pytest.mark.parametrize(
    ("kind", "task", "told"),
    [
        ("llama", "text-generation", False),  # without a past it would read each token alone
        ("bert", "fill-mask", False),
        ("bloom", "text-generation-with-past", True),  # its positions have no end, and nobody says one
    ],
)
def test_other_models_have_none(kind: str, task: str, told: bool, tmp_path: Path) -> None:
    model = write_tiny_config(kind, tmp_path / "model")
    result = exported(model, tmp_path / kind, task, weights="random")
    assert result.verdict is Verdict.PASS
    assert not (tmp_path / kind / "genai_config.json").exists()
    assert any("genai_config.json" in note for note in result.notes) == told


@pytest.mark.parametrize(
    ("kind", "name"),
    [("gpt2", "n_positions"), ("mpt", "max_seq_len"), ("opt", "max_position_embeddings"), ("codegen", "n_positions")],
)
def test_the_length_has_many_names(kind: str, name: str) -> None:
    assert decoder_facts(tiny_config(kind, **{name: 77})).context_length == 77
