"""The tiny checkpoints are what they claim: loadable by transformers, repeatable, and not vacuous."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.conftest import CheckpointFactory
from tests.models import AUTO_CLASSES, KINDS, RECIPES, SENTENCES, Storage, tiny_checkpoint


def load(folder: Path, kind: str):
    import transformers

    recipe = RECIPES[kind]
    auto_class = recipe.auto_classes.get(recipe.task) or AUTO_CLASSES[recipe.task]
    model, report = getattr(transformers, auto_class).from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    return model.eval()


def model_inputs(folder: Path, kind: str, seed: int) -> dict[str, object]:
    """One real input through the checkpoint's own tokenizer and processor."""
    import numpy
    import torch
    from PIL import Image
    from transformers import AutoFeatureExtractor, AutoImageProcessor, AutoTokenizer

    random = numpy.random.default_rng(seed)
    preprocessor = RECIPES[kind].preprocessor or {}
    inputs: dict[str, object] = {}
    if "image_processor_type" in preprocessor:
        image = Image.fromarray(random.integers(0, 255, (50, 70, 3), dtype=numpy.uint8))
        inputs |= AutoImageProcessor.from_pretrained(folder)(image, return_tensors="pt")
    if "feature_extractor_type" in preprocessor:
        # Tones: to mel bins one white noise sounds like the next.
        sound = numpy.sin(numpy.arange(8000) * (0.1 + 0.3 * seed)).astype(numpy.float32)
        inputs |= AutoFeatureExtractor.from_pretrained(folder)(sound, sampling_rate=16000, return_tensors="pt")
    if not inputs or kind == "clip":
        tokenizer = AutoTokenizer.from_pretrained(folder)
        inputs |= tokenizer(SENTENCES[seed], padding="max_length", max_length=40, return_tensors="pt")
    if kind in {"t5", "bart", "whisper", "vision-encoder-decoder"}:
        inputs["decoder_input_ids"] = torch.tensor([[1, 7, 9]])
    return inputs


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_vary_with_the_input(checkpoint: CheckpointFactory, kind: str) -> None:
    import torch

    folder = checkpoint(kind)
    model = load(folder, kind)
    with torch.no_grad():
        first, second = (model(**model_inputs(folder, kind, seed)) for seed in (0, 1))
    logits = "logits_per_image" if kind == "clip" else "logits"
    assert first[logits].isfinite().all()
    assert (first[logits] - second[logits]).abs().max() > 0.05


@pytest.mark.parametrize("kind", ["gpt2", "t5", "vision-encoder-decoder", "clip"])
def test_every_storage_holds_the_same_weights(checkpoint: CheckpointFactory, kind: str) -> None:
    import torch

    expected = load(checkpoint(kind), kind).state_dict()
    for storage in (Storage.SHARDED, Storage.BIN):
        found = load(checkpoint(kind, storage=storage), kind).state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_storages_have_the_files_they_are_named_after(checkpoint: CheckpointFactory) -> None:
    sharded = checkpoint("bert", storage="sharded")
    assert (sharded / "model.safetensors.index.json").is_file()
    assert not (sharded / "model.safetensors").exists()
    assert len(list(sharded.glob("model-*-of-*.safetensors"))) >= 3
    pickled = checkpoint("bert", storage="bin")
    assert (pickled / "pytorch_model.bin").is_file()
    assert not list(pickled.glob("*.safetensors"))


@pytest.mark.parametrize("kind", ["gpt2", "resnet"])
def test_the_seed_alone_decides_the_weights(tmp_path: Path, kind: str) -> None:
    def digest(name: str, seed: int) -> str:
        folder = tiny_checkpoint(kind, tmp_path / name, seed=seed)
        return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()

    assert digest("first", 3) == digest("second", 3)
    assert digest("third", 4) != digest("first", 3)


def test_a_task_chooses_the_head(checkpoint: CheckpointFactory) -> None:
    from transformers import AutoConfig

    folder = checkpoint("bert", task="question-answering", num_hidden_layers=1)
    config = AutoConfig.from_pretrained(folder)
    assert config.architectures == ["BertForQuestionAnswering"]
    assert config.num_hidden_layers == 1


def test_an_own_checkpoint_can_be_broken_without_harm(
    checkpoint: CheckpointFactory, own_checkpoint: CheckpointFactory
) -> None:
    (own_checkpoint("bert") / "config.json").write_text("{")
    assert load(checkpoint("bert"), "bert")
