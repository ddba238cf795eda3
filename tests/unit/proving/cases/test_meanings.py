"""Inputs of the same names and shapes that say something else."""

from __future__ import annotations

import numpy as np
import pytest
import transformers

from onnx_export_action.onnx_config import OnnxConfig, TasksManager
from onnx_export_action.proving.cases.meanings import meanings_of, with_meaning
from onnx_export_action.proving.records import Meaning

TEXT = {Meaning.HOLES, Meaning.SPECIAL_TOKENS}
POSITIONS = {Meaning.SHIFTED_POSITIONS, Meaning.PACKED_POSITIONS}
NUMBERS = {Meaning.SILENCE, Meaning.EXTREMES}


def configured(model_type: str, task: str) -> OnnxConfig:
    config = transformers.AutoConfig.for_model(model_type)
    (component,) = TasksManager.get_exporter_config_constructor(model_type=model_type, task=task)(config).components()
    return component[1]


@pytest.mark.parametrize(
    ("model_type", "task", "meanings"),
    [
        ("bert", "fill-mask", TEXT),
        ("llama", "text-generation", TEXT | POSITIONS),
        ("vit", "image-classification", NUMBERS),
        ("wav2vec2", "automatic-speech-recognition", NUMBERS),
        ("clip", "zero-shot-image-classification", TEXT | NUMBERS),
    ],
)
def test_a_model_is_asked_what_its_inputs_can_say(model_type: str, task: str, meanings: set[Meaning]) -> None:
    arrays = configured(model_type, task).generate_dummy_inputs("np", padding="none")
    assert set(meanings_of(arrays)) >= meanings - ({Meaning.HOLES} if model_type == "clip" else set())


@pytest.mark.parametrize("meaning", Meaning)
def test_only_what_is_said_changes(meaning: Meaning) -> None:
    model_type = {"silence": "vit", "extremes": "vit"}.get(meaning.value, "llama")
    task = "image-classification" if model_type == "vit" else "text-generation"
    onnx_config = configured(model_type, task)
    before = onnx_config.generate_dummy_inputs("np", padding="none")
    after = with_meaning(meaning, before, onnx_config, 0)
    assert {name: (a.shape, a.dtype) for name, a in before.items()} == {n: (a.shape, a.dtype) for n, a in after.items()}
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    assert len(changed) == 1
    again = with_meaning(meaning, onnx_config.generate_dummy_inputs("np", padding="none"), onnx_config, 0)
    assert all(np.array_equal(after[name], again[name]) for name in after)


def test_a_mask_keeps_its_ends_and_loses_what_is_between() -> None:
    onnx_config = configured("bert", "fill-mask")
    mask = with_meaning(Meaning.HOLES, onnx_config.generate_dummy_inputs("np", padding="none"), onnx_config, 0)[
        "attention_mask"
    ]
    assert mask[:, [0, -1]].all()
    assert (mask == 0).any(axis=1).all()
