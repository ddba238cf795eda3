"""Every task of every model type against the real model, tiny: what the class says is what the model does."""

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from onnx_export_action.onnx_config import OnnxConfig, TasksManager
from onnx_export_action.vocabulary.names.components import ComponentKind
from tests.models import RECIPES, build_model

CASES = [
    pytest.param(model_type, task, id=f"{model_type}-{task}")
    for model_type in RECIPES
    for task in TasksManager.get_supported_tasks_for_model_type(model_type)
]

# Shape arguments that move an axis, and by how much a size must grow for the outputs to move as well.
STEPS = {
    "batch_size": 1,
    "text_batch_size": 1,
    "image_batch_size": 1,
    "num_choices": 1,
    "sequence_length": 3,
    "past_sequence_length": 3,
    "encoder_sequence_length": 3,
    "decoder_sequence_length": 3,
    "image_height": 32,
    "image_width": 32,
    "audio_sequence_length": 200,
}
SMALL = {"audio_sequence_length": 800}
SMALL_IMAGES = {"image_height": 32, "image_width": 32}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads cost tiny models more than they give."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@functools.cache
def model_config(model_type: str, labels: int) -> Any:
    recipe = RECIPES[model_type]
    config = recipe.config(recipe.tokenizer() if recipe.tokenizer else None)
    if config.num_labels != labels:
        config.num_labels = labels
    return config


def model_and_parts(model_type: str, task: str) -> tuple[Any, list[tuple[str, OnnxConfig]]]:
    config = model_config(model_type, 2 if task == "question-answering" else 3)
    constructor = TasksManager.get_exporter_config_constructor(model_type=model_type, task=task)
    return build_model(config, TasksManager.get_auto_class_name(task, model_type)), constructor(config).components()


@pytest.mark.parametrize(("model_type", "task"), CASES)
def test_declared_axes_are_those_that_the_model_varies(model_type: str, task: str) -> None:
    model, parts = model_and_parts(model_type, task)
    for name, part in parts:
        shapes = dict(SMALL)
        if not {"image_height", "image_width"} & set(part.shape_limits()):
            shapes |= SMALL_IMAGES
        before = sizes_of_one_call(model, part, shapes, "right")
        moved: set[tuple[str, int]] = set()
        for argument, padding in zip(STEPS, ["left", "mixed", "none"] * len(STEPS), strict=False):
            size = getattr(part.dummy_shapes(**shapes), argument) + STEPS[argument]
            if accepts(part, argument, size) and moves_an_input(part, shapes, {argument: size}):
                after = sizes_of_one_call(model, part, shapes | {argument: size}, padding)
                moved |= {axis for axis, length in after.items() if length != before[axis]}
        declared = {(name, axis) for name, axes in {**part.inputs, **part.outputs}.items() for axis in axes}
        assert moved == declared, name


def accepts(part: OnnxConfig, argument: str, size: int) -> bool:
    if argument in ("text_batch_size", "image_batch_size") and argument not in part.EXTRA_SHAPE_ARGUMENTS:
        return False
    limit = part.shape_limits().get(argument)
    return limit is None or limit.allows(size)


def moves_an_input(part: OnnxConfig, shapes: dict[str, int], change: dict[str, int]) -> bool:
    before, after = part.generate_dummy_inputs("np", **shapes), part.generate_dummy_inputs("np", **(shapes | change))
    return any(before[name].shape != after[name].shape for name in before)


def sizes_of_one_call(model: Any, part: OnnxConfig, shapes: dict[str, int], padding: str) -> dict[tuple[str, int], int]:
    """Call the model; the size of every axis of every input and output."""
    import torch

    from onnx_export_action.traceable.calling import FlatModel

    inputs = part.generate_dummy_inputs("pt", padding=padding, **shapes)
    with torch.inference_mode():
        outputs = dict(zip(part.outputs, FlatModel(model, part)(*inputs.values()), strict=True))
    assert all(torch.isfinite(value).all() for value in outputs.values())
    tensors = {**inputs, **outputs}
    return {(name, axis): size for name, tensor in tensors.items() for axis, size in enumerate(tensor.shape)}


@pytest.mark.parametrize("model_type", ["gpt2", "llama", "t5"])
def test_the_cache_may_be_empty(model_type: str) -> None:
    model, parts = model_and_parts(model_type, RECIPES[model_type].task + "-with-past")
    part = parts[-1][1]
    assert part.kind in (ComponentKind.MODEL, ComponentKind.DECODER_WITH_PAST)
    sizes = sizes_of_one_call(model, part, {"past_sequence_length": 0, "sequence_length": 1}, "none")
    present = next(name for name in part.outputs if name.startswith("present"))
    assert sizes[present, 2] == 1
