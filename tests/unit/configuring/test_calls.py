"""Calls of a model in different sizes: what they took and gave, in a batch where there can be one."""

from __future__ import annotations

import torch

from onnx_export_action.configuring.calls import calls_of
from onnx_export_action.onnx_config.inferred import Facts
from tests.unit.configuring.models import Outputs, Texts, masked

FACTS = Facts({"input_ids": {}, "attention_mask": {}})


def test_a_batch_of_two_where_the_model_takes_one() -> None:
    calls = calls_of(Texts(masked), "feature-extraction", FACTS)
    answer = calls.answer({"sequence_length": 5})
    assert answer.inputs == {"input_ids": (2, 5), "attention_mask": (2, 5)}
    assert answer.sizes(["total"]) == {
        ("input_ids", 0): 2,
        ("input_ids", 1): 5,
        ("attention_mask", 0): 2,
        ("attention_mask", 1): 5,
        ("total", 0): 2,
        ("total", 1): 8,
    }


def test_a_single_row_where_the_model_takes_no_batch() -> None:
    def alone(states: torch.Tensor, mask: torch.Tensor) -> Outputs:
        if states.shape[0] > 1:
            raise NotImplementedError
        return masked(states, mask)

    assert calls_of(Texts(alone), "feature-extraction", FACTS).size("batch_size") == 1


def test_an_emptied_input_is_zeros_and_a_seed_gives_other_values() -> None:
    calls = calls_of(Texts(masked), "feature-extraction", FACTS)
    assert not calls.answer(emptied="attention_mask").outputs["last_hidden_state"].any()
    assert torch.equal(calls.answer(seed=1).outputs["total"], calls.answer(seed=1).outputs["total"])
    assert not torch.equal(calls.answer(seed=1).outputs["total"], calls.answer(seed=2).outputs["total"])


def test_outputs_inside_of_others_have_paths_and_caches_are_none() -> None:
    def nested(states: torch.Tensor, mask: torch.Tensor) -> Outputs:
        return {"levels": (states, {"deep": mask}), "past_key_values": (states,), "loss": states.sum()}  # type: ignore[dict-item]

    answer = calls_of(Texts(nested), "feature-extraction", FACTS).answer()
    assert list(answer.outputs) == ["levels.0", "levels.1.deep"]
