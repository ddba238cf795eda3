"""Folders of sentence-transformers: our modules compute what the library's do, and their files are proven."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from onnx_export_action.loading.model import load_model
from onnx_export_action.pipeline.planning import plan_job
from onnx_export_action.pipeline.running import export_and_check
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.jobs import Request
from onnx_export_action.vocabulary.options import ExportOptions
from onnx_export_action.vocabulary.results import TargetResult, Verdict
from tests.conftest import CheckpointFactory
from tests.models import HIDDEN

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")


def saved(encoder: Path, folder: Path, *steps: Any) -> Path:
    """A folder as the library itself writes it."""
    pytest.importorskip("sentence_transformers")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Transformer

    SentenceTransformer(modules=[Transformer(str(encoder)), *steps], device="cpu").save(str(folder))
    return folder


@pytest.fixture
def modules() -> Any:
    return pytest.importorskip("sentence_transformers.sentence_transformer.modules")


def ours(folder: Path) -> Any:
    return load_model(plan_job(Request(name="it", model=str(folder), destination=folder / "out"))).model


def theirs(folder: Path, features: dict[str, torch.Tensor | int]) -> dict[str, torch.Tensor]:
    from sentence_transformers import SentenceTransformer

    with torch.no_grad():
        found: dict[str, torch.Tensor] = SentenceTransformer(str(folder), device="cpu").eval()(dict(features))
    return found


def padded_batch() -> dict[str, torch.Tensor]:
    mask = torch.tensor([[1] * 7, [0, 0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0, 0], [0, 1, 1, 1, 1, 1, 0]])
    ids = torch.randint(5, 50, mask.shape, generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids * mask, "attention_mask": mask}


def assert_same(folder: Path, **more: int) -> None:
    batch = padded_batch()
    extra = {name: torch.tensor(float(value)) for name, value in more.items()}
    with torch.no_grad():
        found = ours(folder)(**batch, **extra)
    expected = theirs(folder, batch | more)
    for name in ("token_embeddings", "sentence_embedding"):
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=1e-6)


def test_all_ways_of_pooling(checkpoint: CheckpointFactory, tmp_path: Path, modules: Any) -> None:
    folder = saved(checkpoint("bert"), tmp_path / "model", modules.Pooling(HIDDEN, pooling_mode=POOLING_MODES))
    assert_same(folder)


def test_a_prompt_counts_for_nothing_where_the_pooling_says_so(
    checkpoint: CheckpointFactory, tmp_path: Path, modules: Any
) -> None:
    pooling = modules.Pooling(HIDDEN, pooling_mode=("cls", "mean", "weightedmean", "max"), include_prompt=False)
    folder = saved(checkpoint("bert"), tmp_path / "model", pooling)
    assert_same(folder)
    assert_same(folder, prompt_length=2)


def test_the_modules_after_pooling(checkpoint: CheckpointFactory, tmp_path: Path, modules: Any) -> None:
    folder = saved(
        checkpoint("distilbert"),
        tmp_path / "model",
        modules.Pooling(HIDDEN, pooling_mode="mean"),
        modules.Dense(HIDDEN, 24, activation_function=torch.nn.Tanh(), use_residual=True),
        modules.Dropout(0.5),
        modules.Dense(24, 24, bias=False, activation_function=torch.nn.GELU()),
        modules.LayerNorm(24),
        modules.Normalize(),
    )
    assert_same(folder)


def test_the_encoder_alone_of_an_encoder_decoder(checkpoint: CheckpointFactory, tmp_path: Path, modules: Any) -> None:
    folder = saved(checkpoint("t5"), tmp_path / "model", modules.Pooling(HIDDEN), modules.Normalize())
    assert type(ours(folder).transformer).__name__ == "T5EncoderModel"
    assert_same(folder)


def test_a_decoder_embeds_by_its_last_token(checkpoint: CheckpointFactory, tmp_path: Path, modules: Any) -> None:
    folder = saved(checkpoint("llama"), tmp_path / "model", modules.Pooling(HIDDEN, pooling_mode="lasttoken"))
    assert_same(folder)


def exported(folder: Path, **asked: Any) -> TargetResult:
    request = Request(name="it", model=str(folder), destination=folder.parent / "out", **asked)
    return export_and_check(request, progress=lambda _: None)


def test_the_exported_file_embeds_as_the_library_does(
    checkpoint: CheckpointFactory, tmp_path: Path, modules: Any
) -> None:
    folder = saved(
        checkpoint("bert"),
        tmp_path / "model",
        modules.Pooling(HIDDEN, pooling_mode=("lasttoken", "weightedmean", "max"), include_prompt=False),
        modules.Dense(3 * HIDDEN, 16),
        modules.Normalize(),
    )
    (tmp_path / "samples.txt").write_text("We loved it.\nIt was far too long!\n")
    result = exported(folder, options=ExportOptions(samples=tmp_path / "samples.txt"))
    assert result.verdict is Verdict.PASS, result.failure or result.files[0].failure
    assert result.files[0].similarities
    assert any("Pooling (lasttoken, weightedmean, max), Dense, Normalize" in note for note in result.notes)
    path = tmp_path / "out/onnx/model.onnx"
    graph = onnx.load(path).graph
    assert [value.name for value in graph.output] == ["token_embeddings", "sentence_embedding", "last_hidden_state"]
    session = onnxruntime.InferenceSession(path)
    batch = padded_batch()
    feeds = {name: tensor.numpy() for name, tensor in batch.items()}
    for length, more in ((None, {}), (2, {"prompt_length": np.array(2.0, np.float32)})):
        prompt = {} if length is None else {"prompt_length": length}
        expected = theirs(folder, batch | prompt)["sentence_embedding"]
        (found,) = session.run(["sentence_embedding"], feeds | more)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_clip_embeds_texts_and_images(checkpoint: CheckpointFactory, tmp_path: Path, modules: Any) -> None:
    folder = saved(checkpoint("clip"), tmp_path / "model", modules.Normalize())
    result = exported(folder, task="sentence-similarity")
    assert result.verdict is Verdict.PASS, result.failure or result.files[0].failure
    assert [output.name for output in result.files[0].outputs] == ["text_embeds", "image_embeds"]


def write_modules(folder: Path, entries: list[tuple[str, str]], **settings: Any) -> None:
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(entries)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    for path, _ in entries:
        (folder / path).mkdir(exist_ok=True)
        if path.endswith("Pooling"):
            (folder / path / "config.json").write_text(json.dumps({"word_embedding_dimension": HIDDEN, **settings}))


def test_an_older_layout_and_random_weights(own_checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    encoder = own_checkpoint("bert")
    folder = tmp_path / "older"
    folder.mkdir()
    shutil.move(encoder, folder / "0_Transformer")
    (folder / "0_Transformer/model.safetensors").unlink()
    write_modules(folder, [("0_Transformer", "Transformer"), ("1_Pooling", "Pooling")], pooling_mode_cls_token=True)
    result = exported(folder, options=ExportOptions(weights=Weights.RANDOM))
    assert result.verdict is Verdict.PASS, result.failure or result.files[0].failure
    assert (tmp_path / "out/tokenizer.json").is_file()


def test_another_task_is_about_the_model_itself(own_checkpoint: CheckpointFactory) -> None:
    folder = own_checkpoint("bert", task="text-classification")
    write_modules(folder, [("", "Transformer"), ("1_Pooling", "Pooling")])
    request = Request(name="it", model=str(folder), destination=folder / "out", task="text-classification")
    assert plan_job(request).model_type == "bert"
