"""Rotary positions of long texts: the frequencies follow the text that is run, not the one that was traced."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from onnx_export_action.traceable import rotary
from onnx_export_action.traceable.private_names import PrivateName
from onnx_export_action.traceable.rotary import long_rotary_positions

ORIGINAL = 8


class Rotary(torch.nn.Module):
    """Phi-3's as transformers before 5.21 has it: Python chooses the frequencies."""

    def __init__(self) -> None:
        super().__init__()
        rope = {
            "rope_type": "longrope",
            "rope_theta": 10_000.0,
            "short_factor": [1.0, 1.0],
            "long_factor": [2.0, 4.0],
            "original_max_position_embeddings": ORIGINAL,
        }
        self.config = SimpleNamespace(
            rope_parameters=rope,
            hidden_size=8,
            num_attention_heads=2,
            max_position_embeddings=32,
            standardize_rope_params=lambda: None,
        )
        self.rope_type = "longrope"
        self.original_inv_freq = self.frequencies(ORIGINAL)
        self.register_buffer("inv_freq", self.original_inv_freq)

    def frequencies(self, length: int) -> torch.Tensor:
        return ROPE_INIT_FUNCTIONS["longrope"](self.config, torch.device("cpu"), seq_len=length)[0]

    def forward(self, states: torch.Tensor, position_ids: torch.Tensor) -> torch.Tensor:
        return position_ids[..., None].float() * self.inv_freq


@pytest.fixture
def old_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotary, "_CHOICE", PrivateName(rotary._CHOICE.path, versions=">=5"))


@pytest.mark.usefixtures("old_transformers")
@pytest.mark.parametrize("traced", [4, 20])
def test_a_trace_chooses_by_the_length_of_the_text(traced: int) -> None:
    embedding = Rotary()
    states = torch.zeros(1, 1, 8)
    with long_rotary_positions(embedding):
        program = torch.jit.trace(embedding, (states, torch.arange(traced)[None]), check_trace=False)
        for length in (1, ORIGINAL, ORIGINAL + 1, 20):
            positions = torch.arange(length)[None]
            expected = positions[..., None].float() * embedding.frequencies(length)
            torch.testing.assert_close(program(states, positions), expected)


@pytest.mark.usefixtures("old_transformers")
def test_the_model_is_as_it_was_afterwards() -> None:
    embedding = Rotary()
    with long_rotary_positions(embedding):
        embedding(torch.zeros(1, 1, 8), torch.arange(20)[None])
    assert embedding.inv_freq is embedding.original_inv_freq
    assert "forward" not in vars(embedding)


def test_newer_versions_choose_by_themselves() -> None:
    """transformers 5.21 and newer need nothing of it."""
    embedding = Rotary()
    with long_rotary_positions(embedding):
        assert "forward" not in vars(embedding)
