"""The ways in which a model is changed: each engine gets its own, and all of it is undone."""

from __future__ import annotations

import pytest
import torch
from transformers import masking_utils
from transformers.integrations import moe

from onnx_export_action.onnx_config.base import PatchingSpec
from onnx_export_action.traceable import WAYS, traced_as
from onnx_export_action.vocabulary.supported.engines import Engine

ENGINES = [Engine.TRACER, Engine.TORCH_EXPORT, Engine.TORCHSCRIPT]


def state() -> list[object]:
    return [
        dict(vars(masking_utils)),
        dict(moe.ALL_EXPERTS_FUNCTIONS),
        torch.overrides._get_current_function_mode_stack(),
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_everything_is_undone(engine: Engine) -> None:
    before = state()
    with traced_as(engine, torch.nn.Linear(2, 2)):
        pass
    assert state() == before


@pytest.mark.parametrize("engine", ENGINES)
def test_a_configurations_patches_apply_and_are_undone(engine: Engine) -> None:
    model = torch.nn.Linear(2, 2)
    with traced_as(engine, model, [PatchingSpec(torch.nn.Linear, "extra_repr", lambda self: "patched")]):
        assert model.extra_repr() == "patched"
    assert model.extra_repr() != "patched"


def test_every_way_is_for_an_engine_and_auto_is_none() -> None:
    assert all(way.engines for way in WAYS)
    assert not any(Engine.AUTO in way.engines for way in WAYS)


def test_the_tracer_follows_what_it_otherwise_cannot() -> None:
    """Truth values where a number may stand end a trace in an internal assertion without the ways."""

    class Filled(torch.nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return rows.masked_fill(rows > 0, True)

    with traced_as(Engine.TRACER, Filled()):
        assert Filled()(torch.tensor([1.0, -1.0])).tolist() == [1.0, -1.0]
