"""Which inputs are tried with a model, and in which order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from onnx_export_action.configuring.candidates import candidates


def model_of(forward: Any, **attributes: Any) -> Any:
    config = SimpleNamespace(vocab_size=50, hidden_size=8, image_size=32, num_channels=3)
    return SimpleNamespace(forward=forward, config=config, **attributes)


def inputs_of(model: Any) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(tuple(facts.inputs) for facts in candidates(model)))


def test_all_that_a_model_takes_comes_first_then_fewer() -> None:
    def forward(input_ids: torch.Tensor, attention_mask: Any = None, labels: Any = None) -> None: ...

    assert inputs_of(model_of(forward)) == [("input_ids", "attention_mask"), ("input_ids",)]


def test_the_main_input_comes_alone_before_the_others_do() -> None:
    def forward(input_ids: Any = None, pixel_values: Any = None) -> None: ...

    found = inputs_of(model_of(forward, main_input_name="pixel_values"))
    assert set(found[0]) == {"input_ids", "pixel_values"}
    assert found[1:3] == [("pixel_values",), ("input_ids",)]


def test_images_are_tried_in_four_times_their_size_at_last() -> None:
    def forward(pixel_values: torch.Tensor) -> None: ...

    sizes = [facts.sizes for facts in candidates(model_of(forward)) if tuple(facts.inputs) == ("pixel_values",)]
    assert sizes[0] == {}
    assert sizes[-1] == {"image_height": 128, "image_width": 128}


def test_nothing_is_tried_with_a_model_that_takes_nothing_known() -> None:
    def forward(something_else: torch.Tensor) -> None: ...

    assert inputs_of(model_of(forward)) == []
