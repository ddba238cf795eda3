"""Which axes vary and with what, and which sizes the model takes."""

from __future__ import annotations

import torch

from onnx_export_action.configuring.calls import calls_of
from onnx_export_action.configuring.inferred_axes import with_axes
from onnx_export_action.onnx_config.inferred import Facts
from tests.unit.configuring.models import Outputs, Texts, masked

FACTS = Facts({"input_ids": {}, "attention_mask": {}})
ROWS = {0: "batch_size", 1: "sequence_length"}


def facts_of(model: Texts, outputs: list[str]) -> Facts:
    return with_axes(calls_of(model, "feature-extraction", FACTS), outputs)


def test_axes_of_outputs_have_the_names_of_the_inputs_that_they_follow() -> None:
    facts = facts_of(Texts(masked), ["last_hidden_state", "total"])
    assert facts.inputs == {"input_ids": ROWS, "attention_mask": ROWS}
    assert facts.outputs == {"last_hidden_state": ROWS, "total": {0: "batch_size"}}


def test_an_axis_that_is_computed_has_a_name_of_its_own() -> None:
    def twice(states: torch.Tensor, mask: torch.Tensor) -> Outputs:
        return {"long": (states * mask[..., None]).repeat(1, 2, 1)}

    assert facts_of(Texts(twice), ["long"]).outputs == {"long": {0: "batch_size", 1: "long_1"}}


def test_a_size_that_does_not_run_is_fixed_and_its_axes_do_not_vary() -> None:
    def of_one_length(states: torch.Tensor, mask: torch.Tensor) -> Outputs:
        if states.shape[1] != 16:
            raise ValueError("16 tokens, no more and no less")
        return masked(states, mask)

    facts = facts_of(Texts(of_one_length), ["last_hidden_state"])
    assert facts.inputs["input_ids"] == {0: "batch_size"}
    limit = facts.limits["sequence_length"]
    assert (limit.minimum, limit.maximum) == (16, 16)


def test_no_more_positions_are_tried_than_the_model_has() -> None:
    table = torch.nn.Embedding(20, 8)

    def placed(states: torch.Tensor, mask: torch.Tensor) -> Outputs:
        return masked(states + table(torch.arange(states.shape[1])), mask)

    limit = facts_of(Texts(placed, max_position_embeddings=20), ["last_hidden_state"]).limits["sequence_length"]
    assert (limit.minimum, limit.maximum) == (1, 20)


def test_positions_out_of_reach_are_left_out() -> None:
    """RoBERTa counts from after the padding token, so that the last positions do not run."""
    table = torch.nn.Embedding(20, 8)

    def placed(states: torch.Tensor, mask: torch.Tensor) -> Outputs:
        return masked(states + table(torch.arange(states.shape[1]) + 2), mask)

    model = Texts(placed, max_position_embeddings=20, pad_token_id=1)
    assert facts_of(model, ["last_hidden_state"]).limits["sequence_length"].maximum == 18
