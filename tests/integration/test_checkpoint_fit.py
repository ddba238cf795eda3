"""A checkpoint that holds more, less or other than the model takes is refused with the reason, or told of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from onnx_export_action.loading.fitting import Fit
from onnx_export_action.loading.model import LoadedModel, load_model
from onnx_export_action.loading.tensors import TensorFiles
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.jobs import Job
from tests.architectures.checkpoint_sweep import MISSED, REFUSED, SILENT, TOLD, outcomes
from tests.conftest import CheckpointFactory
from tests.end_to_end.command import CommandLine
from tests.models import Storage

Tensors = dict[str, torch.Tensor]
Change = Callable[[Tensors], object]


def load(folder: Path, model_type: str, task: str) -> LoadedModel:
    return load_model(
        Job(name="m", source="m", folder=folder, model_type=model_type, task=task, destination=folder / "out")
    )


def change(folder: Path, *changes: Change) -> Path:
    for path in folder.glob("*.safetensors"):
        tensors = load_file(path)
        for one in changes:
            one(tensors)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata={"format": "pt"})
    return folder


def projections(tensors: Tensors) -> list[str]:
    return [name for name in tensors if name.endswith("_proj.weight")]


def with_scales(dtype: torch.dtype, ending: str) -> Change:
    def quantise(tensors: Tensors) -> None:
        for name in projections(tensors):
            scale = tensors[name].abs().max() / 100
            tensors[name] = (tensors[name] / scale).to(dtype)
            tensors[name.removesuffix("weight") + ending] = scale.reshape(1, 1)

    return quantise


def with_more(pattern: str, replacement: str, value: float = 1.0) -> Change:
    def add(tensors: Tensors) -> None:
        for name in [name for name in tensors if re.search(pattern, name)]:
            tensors[re.sub(pattern, replacement, name)] = torch.full_like(tensors[name], value)

    return add


def as_bias(value: float) -> Change:
    def add(tensors: Tensors) -> None:
        for name in projections(tensors):
            tensors[name.removesuffix("weight") + "bias"] = torch.full((tensors[name].shape[0],), value)

    return add


QUANTISED = "without a scale"
REASONS: dict[str, tuple[Change, str]] = {
    "float8 with scales": (with_scales(torch.float8_e4m3fn, "weight_scale"), QUANTISED),
    "float8 in blocks": (with_scales(torch.float8_e4m3fn, "weight_scale_inv"), QUANTISED),
    "int8 with scales": (with_scales(torch.int8, "weight_scale"), QUANTISED),
    "int8 alone": (
        lambda tensors: tensors.update({n: tensors[n].to(torch.int8) for n in projections(tensors)}),
        QUANTISED,
    ),
    "scaled floats": (with_scales(torch.float32, "weight_scale"), "quantised and config.json does not say how"),
    "biases": (as_bias(0.5), "computed without them"),
    "an adapter": (with_more(r"q_proj\.weight", "q_proj.lora_A.default.weight"), "adapter that is not merged"),
    "four layers for two": (with_more(r"layers\.1\.", "layers.3."), "layers beyond the 2 that config.json builds"),
    "both spellings": (with_more(r"^model\.norm", "norm"), "two tensors for one parameter"),
}


@pytest.mark.parametrize("case", REASONS)
def test_what_would_be_lost_is_refused_with_the_reason(case: str, own_checkpoint: CheckpointFactory) -> None:
    done, words = REASONS[case]
    folder = change(own_checkpoint("llama", num_hidden_layers=2), done)
    with pytest.raises(ExportError, match=words):
        load(folder, "llama", "text-generation-with-past")


HARMLESS: dict[str, Change] = {
    "biases of zero": as_bias(0.0),
    "a buffer of older versions": with_more(r"q_proj\.weight", "rotary_emb.inv_freq"),
    "a profiler's counts": with_more(r"q_proj\.weight", "q_proj.total_ops"),
    "a stranger": with_more(r"^model\.norm", "of_nothing.known"),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_changes_nothing_is_told(case: str, own_checkpoint: CheckpointFactory) -> None:
    folder = change(own_checkpoint("llama"), HARMLESS[case])
    (note,) = load(folder, "llama", "text-generation-with-past").notes
    assert note.startswith("the model does not use ")


def test_a_copy_of_a_loaded_tensor_is_told(own_checkpoint: CheckpointFactory) -> None:
    folder = change(
        own_checkpoint("llama"),
        lambda tensors: tensors.update({f"{name}_old": tensors[name].clone() for name in projections(tensors)[:1]}),
    )
    assert len(load(folder, "llama", "text-generation-with-past").notes) == 1


def test_a_head_that_the_task_does_not_need_passes(own_checkpoint: CheckpointFactory) -> None:
    folder = own_checkpoint("bert", task="token-classification")
    (note,) = load(folder, "bert", "feature-extraction").notes
    assert note == "the model does not use 2 tensors of the checkpoint: classifier.bias, classifier.weight"


def test_a_token_for_another_task_s_training_passes(own_checkpoint: CheckpointFactory) -> None:
    folder = own_checkpoint("vit", task="masked-im")
    assert "embeddings.mask_token" in " ".join(load(folder, "vit", "feature-extraction").notes)


def test_names_of_older_versions_are_taken(own_checkpoint: CheckpointFactory) -> None:
    """``gamma`` and ``beta`` of norms, and the two halves of a normalised convolution."""

    def older(tensors: Tensors) -> None:
        for name in list(tensors):
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            old = old.replace("parametrizations.weight.original0", "weight_g")
            tensors[old.replace("parametrizations.weight.original1", "weight_v")] = tensors.pop(name)

    for kind, task in (("bert", "fill-mask"), ("wav2vec2", "audio-classification")):
        loaded = load(change(own_checkpoint(kind, task=task), older), kind, task)
        assert (loaded.notes, loaded.missing) == ([], frozenset())


def test_a_pickle_is_looked_through_as_well(own_checkpoint: CheckpointFactory) -> None:
    folder = own_checkpoint("bert", storage=Storage.BIN)
    tensors = torch.load(folder / "pytorch_model.bin", weights_only=True)
    torch.save({**tensors, "bert.pooler.dense.weight_scale": torch.ones(1)}, folder / "pytorch_model.bin")
    tensors["bert.encoder.layer.0.output.dense.weight"] = tensors["bert.encoder.layer.0.output.dense.weight"].to(
        torch.int8
    )
    torch.save(tensors, folder / "pytorch_model.bin")
    with pytest.raises(ExportError, match=QUANTISED):
        load(folder, "bert", "fill-mask")


@pytest.mark.parametrize(("name", "fits"), [("0.num_batches_tracked", True), ("0.count", False)])
def test_counters_of_norms_that_do_not_count_are_harmless(name: str, fits: bool, tmp_path: Path) -> None:
    """DETR freezes the batch norms of its backbone, whose counters its checkpoints still hold."""
    model = torch.nn.Sequential(torch.nn.BatchNorm2d(3))
    weights = {key: value for key, value in model.state_dict().items() if key != "0.num_batches_tracked"}
    del model[0]._buffers["num_batches_tracked"]
    save_file({**weights, name: torch.tensor(3)}, tmp_path / "model.safetensors")
    found = Fit(model, TensorFiles([tmp_path / "model.safetensors"]), {name}, set()).misfit(tmp_path)
    assert (found is None) == fits


@pytest.mark.parametrize("model_type", ["bert", "gpt2", "whisper", "mixtral", "vit", "detr", "clip", "speecht5"])
def test_one_changed_tensor_is_never_lost_in_silence(model_type: str, tmp_path: Path) -> None:
    """``python -m tests.architectures.checkpoint_sweep`` goes over all types."""
    found = {words: outcome for words, _, outcome in outcomes(model_type, tmp_path)}
    assert SILENT not in found.values()
    assert found["as int8"] == found["as float8"] == found["rescaled"] == found["an adapter"] == REFUSED
    assert (found["added beside"], found["added elsewhere"]) == (REFUSED, TOLD)
    assert found["dropped"] in (MISSED, REFUSED)


def test_the_export_says_what_it_did_not_use(tmp_path: Path, own_checkpoint: CheckpointFactory) -> None:
    """Through the whole command: the reason of a refusal, and the note of a pass, said once."""
    command = CommandLine(tmp_path)
    folder = change(own_checkpoint("llama"), with_scales(torch.float8_e4m3fn, "weight_scale"))
    refused = command("export", folder, "refused", "--task", "text-generation")
    assert refused.code == 3
    assert QUANTISED in refused.stderr
    bert = own_checkpoint("bert", task="token-classification")
    told = command("export", bert, "told", "--task", "feature-extraction", "--result-json", "result.json")
    assert told.code == 0
    notes = json.loads((tmp_path / "result.json").read_text())["notes"]
    assert sum("does not use 2 tensors" in note for note in notes) == 1
