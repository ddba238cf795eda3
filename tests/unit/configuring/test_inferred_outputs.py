"""Which outputs a file can have: those that depend on the inputs, and are the same in every run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from onnx_export_action.configuring.calls import calls_of
from onnx_export_action.configuring.inferred_outputs import inferred_outputs
from onnx_export_action.onnx_config.inferred import Facts
from tests.unit.configuring.models import Outputs, Texts, masked

FACTS = Facts({"input_ids": {}, "attention_mask": {}})


def found(compute: Callable[[torch.Tensor, torch.Tensor], Outputs], task: str = "image-to-image") -> list[str]:
    return inferred_outputs(calls_of(Texts(compute), task, FACTS))


def test_all_that_depend_on_the_input_where_the_task_has_none_of_them() -> None:
    assert found(masked) == ["last_hidden_state", "total"]


def test_those_of_the_task_alone_where_they_are_there() -> None:
    assert found(masked, "feature-extraction") == ["last_hidden_state"]


@pytest.mark.parametrize("other", [lambda states: torch.ones(3), torch.rand_like, lambda states: states.long()])
def test_constants_chance_and_whole_numbers_are_none(other: Callable[[torch.Tensor], torch.Tensor]) -> None:
    assert found(lambda states, mask: {**masked(states, mask), "other": other(states)}) == [
        "last_hidden_state",
        "total",
    ]


def test_all_outputs_where_the_tasks_own_come_before_an_input_is_read() -> None:
    def late(states: torch.Tensor, mask: torch.Tensor) -> Outputs:
        return {"last_hidden_state": states, "pooled": (states * mask[..., None]).sum(dim=1)}

    assert found(late, "feature-extraction") == ["last_hidden_state", "pooled"]


def test_none_where_an_input_does_not_matter() -> None:
    assert found(lambda states, mask: {"last_hidden_state": states}, "feature-extraction") == []
