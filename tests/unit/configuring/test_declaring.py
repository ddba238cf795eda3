"""What a target declares, held against the model: an error says the place of what is wrong, and only that."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from onnx_export_action.configuring.declaring import declared_onnx_config
from onnx_export_action.vocabulary.declarations import Declaration, DeclaredAxis, DeclaredTensor
from onnx_export_action.vocabulary.errors import ExportError

ROWS = {0: DeclaredAxis("batch_size", "it.yaml:3:9"), 1: DeclaredAxis("sequence_length", "it.yaml:3:24")}


class Mixing(torch.nn.Module):
    """Reads token ids, and an input of which nothing is known."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(vocab_size=50, hidden_size=8)
        self.embedding = torch.nn.Embedding(50, 8)

    def forward(self, input_ids: torch.Tensor, mystery: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"last_hidden_state": self.embedding(input_ids) * mystery[:, None]}


def declared(mystery: dict[int, DeclaredAxis]) -> Declaration:
    inputs = {"input_ids": DeclaredTensor(ROWS, "it.yaml:3:7"), "mystery": DeclaredTensor(mystery, "it.yaml:5:7")}
    return Declaration(inputs=inputs)


def test_an_input_of_which_nothing_is_known_is_refused_at_its_own_place() -> None:
    with pytest.raises(ExportError) as caught:
        declared_onnx_config(Mixing(), "feature-extraction", declared({}), None)
    assert caught.value.message.startswith("it.yaml:5:7: ")
    assert caught.value.message.count("it.yaml") == 1


def test_a_model_that_does_not_run_with_what_is_declared_is_refused_at_the_first_place() -> None:
    axes = {0: DeclaredAxis(3, "it.yaml:5:9"), 1: DeclaredAxis(4, "it.yaml:5:14")}
    with pytest.raises(ExportError) as caught:
        declared_onnx_config(Mixing(), "feature-extraction", declared(axes), None)
    assert caught.value.message.startswith("it.yaml:3:7: ")
    assert caught.value.message.count("it.yaml") == 1


def test_an_input_with_all_its_axes_is_made() -> None:
    axes = {0: DeclaredAxis("batch_size", "it.yaml:5:9"), 1: DeclaredAxis(8, "it.yaml:5:14")}
    onnx_config = declared_onnx_config(Mixing(), "feature-extraction", declared(axes), None)
    assert onnx_config.inputs == {"input_ids": {0: "batch_size", 1: "sequence_length"}, "mystery": {0: "batch_size"}}
    assert onnx_config.outputs == {"last_hidden_state": {0: "batch_size", 1: "sequence_length"}}
