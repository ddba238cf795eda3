"""Files that are wrong only beyond a length, a batch or a kind of mask that few inputs reach: each is accused.

The faults are in the checkpoint that is exported; the files are then checked against the right one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from transformers import PreTrainedConfig, PreTrainedModel

from onnx_export_action.pipeline.running import check_folder, export_and_check
from onnx_export_action.vocabulary.jobs import Request
from onnx_export_action.vocabulary.options import ExportOptions
from onnx_export_action.vocabulary.results import TargetResult, Verdict
from tests.models import build_model

# The words of a real model: its logits are what limits the length of a text that can be compared.
WORDS = 50_257


def gpt2(**changes: object) -> PreTrainedConfig:
    return transformers.GPT2Config(n_embd=16, n_head=2, n_layer=2, n_positions=1024, vocab_size=WORDS, **changes)


def gemma3(**changes: object) -> PreTrainedConfig:
    sizes = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "vocab_size": WORDS,
        "max_position_embeddings": 4096,
        "query_pre_attn_scalar": 8,
        "layer_types": ["sliding_attention", "full_attention"],
        "num_hidden_layers": 2,
    }
    return transformers.Gemma3TextConfig(**(sizes | {"sliding_window": 512} | changes))


def phi3(**changes: object) -> PreTrainedConfig:
    factors = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [8.0] * 4, "rope_theta": 10_000.0}
    sizes = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "num_hidden_layers": 2,
        "vocab_size": WORDS,
        "max_position_embeddings": 2048,
        "original_max_position_embeddings": 512,
        "rope_parameters": factors,
        "pad_token_id": 0,
        "sliding_window": None,
    }
    return transformers.Phi3Config(**(sizes | changes))


def bert(**changes: object) -> PreTrainedConfig:
    return transformers.BertConfig(
        hidden_size=16, num_attention_heads=2, num_hidden_layers=2, intermediate_size=32, vocab_size=1000, **changes
    )


def zero_positions_from(start: int) -> Callable[[PreTrainedModel], None]:
    def break_it(model: PreTrainedModel) -> None:
        table = next(p for name, p in model.named_parameters() if "wpe" in name or "position_embeddings" in name)
        with torch.no_grad():
            table[start:] = 0

    return break_it


def as_it_is(_: PreTrainedModel) -> None:
    """The weights are right; the configuration is not."""


FAULTS = {
    "positions from 460 on": (gpt2, {}, zero_positions_from(460), "AutoModelForCausalLM", "text-generation-with-past"),
    "no window of 512": (
        gemma3,
        {"sliding_window": 4096},
        as_it_is,
        "AutoModelForCausalLM",
        "text-generation-with-past",
    ),
    "a window of 511": (gemma3, {"sliding_window": 511}, as_it_is, "AutoModelForCausalLM", "text-generation-with-past"),
    "no switch of the rotary embedding at 512": (
        phi3,
        {"original_max_position_embeddings": 2048},
        as_it_is,
        "AutoModelForCausalLM",
        "text-generation-with-past",
    ),
    "positions from 505 on": (bert, {}, zero_positions_from(505), "AutoModel", "feature-extraction"),
}


def exported_then_checked(name: str, folder: Path) -> tuple[TargetResult, TargetResult]:
    """What is said of the files of the faulty model: beside itself, and beside the right one."""
    config, changes, break_it, auto_class, task = FAULTS[name]
    right = build_model(config(), auto_class, seed=1)
    wrong = build_model(config(**changes), auto_class, seed=1)
    wrong.load_state_dict(right.state_dict())
    break_it(wrong)
    right.save_pretrained(folder / "right")
    wrong.save_pretrained(folder / "wrong")
    made = Request(
        name="it",
        model=str(folder / "wrong"),
        destination=folder / "out",
        task=task,
        options=ExportOptions(engine="tracer"),
    )
    asked = Request(name="it", model=str(folder / "right"), destination=folder / "out", task=task)
    return export_and_check(made, progress=lambda _: None), check_folder(asked, progress=lambda _: None)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_beyond_a_length_is_found(name: str, tmp_path: Path) -> None:
    beside_itself, beside_the_right_one = exported_then_checked(name, tmp_path)
    assert beside_itself.verdict is Verdict.PASS, beside_itself.failure or beside_itself.files[0].failure
    assert beside_the_right_one.verdict is Verdict.FAIL
    assert beside_the_right_one.failure is None


def test_what_no_case_reaches_is_said(tmp_path: Path) -> None:
    build_model(gemma3(max_position_embeddings=10**6), "AutoModelForCausalLM").save_pretrained(tmp_path / "model")
    request = Request(
        name="it", model=str(tmp_path / "model"), destination=tmp_path / "out", task="text-generation-with-past"
    )
    result = export_and_check(request, progress=lambda _: None)
    assert result.verdict is Verdict.PASS
    (note,) = (note for note in result.notes if "not proven beyond" in note)
    assert "max_position_embeddings (1000000)" in note
    assert "sliding_window" not in note
