"""Real inputs as cases: texts, images and sounds through the model's own processor; and the same result each time."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from onnx_export_action.pipeline.running import export_and_check
from onnx_export_action.proving.cases.builtin_samples import portrait, voice
from onnx_export_action.vocabulary.jobs import Request
from onnx_export_action.vocabulary.options import ExportOptions
from onnx_export_action.vocabulary.results import Stage, TargetResult, Verdict
from tests.conftest import CheckpointFactory


def proven(model: Path, task: str, samples: Path | None, destination: Path) -> TargetResult:
    options = ExportOptions(samples=samples)
    request = Request(name="target", model=str(model), destination=destination, task=task, options=options)
    return export_and_check(request, progress=lambda _: None)


def sample_cases(result: TargetResult) -> dict[str, dict[str, int]]:
    return {case.id: case.shape for file in result.files for case in file.cases if case.mask == "samples"}


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    Image.fromarray(portrait()).save(folder / "face.png")
    Image.fromarray(portrait()[:100]).convert("L").save(folder / "grey.jpg")
    for name, rate in (("slow.wav", 8_000), ("fast.wav", 44_100)):
        wavfile.write(folder / name, rate, (voice(1.0)[:rate] * 2**15).astype(np.int16))
    (folder / "pairs.jsonl").write_text('{"text": "Who?", "text_pair": "Anna."}\n{"text": "", "label": 1}\n')
    (folder / "sounds.csv").write_text("audio,label\nslow.wav,1\nfast.wav,0\n")
    (folder / "images.jsonl").write_text('{"image": "face.png"}\n{"image": "grey.jpg"}\n')
    (folder / "broken.jsonl").write_text('{"image": "face.png"}\n{"image": "broken.png"}\n')
    (folder / "broken.png").write_bytes(b"\x89PNG and nothing more")
    return folder


@pytest.mark.parametrize(
    ("kind", "task", "name", "axes"),
    [
        ("bert", "text-classification", "pairs.jsonl", {"batch_size": 2}),
        ("vit", "image-classification", "images.jsonl", {"batch_size": 2}),
        (
            "wav2vec2",
            "automatic-speech-recognition",
            "sounds.csv",
            {"batch_size": 2, "sequence_length": 44_100 * 160 // 441},
        ),
    ],
)
def test_samples_of_every_kind_become_cases(
    checkpoint: CheckpointFactory,
    samples: Path,
    tmp_path: Path,
    kind: str,
    task: str,
    name: str,
    axes: dict[str, int],
) -> None:
    result = proven(checkpoint(kind, task=task), task, samples / name, tmp_path / "onnx")
    assert result.verdict is Verdict.PASS, result.files
    cases = sample_cases(result)
    assert cases["samples 1-2"].items() >= axes.items()
    assert any(name.startswith("built-in") for name in cases)


def test_a_broken_sample_is_named_and_nothing_is_exported(
    checkpoint: CheckpointFactory, samples: Path, tmp_path: Path
) -> None:
    model = checkpoint("vit", task="image-classification")
    result = proven(model, "image-classification", samples / "broken.jsonl", tmp_path / "onnx")
    assert result.verdict is Verdict.ERROR
    assert result.failure is not None
    assert result.failure.stage is Stage.PLAN
    assert "broken.jsonl:2: broken.png is no image" in result.failure.message
    assert not (tmp_path / "onnx").exists()


def test_texts_for_a_model_of_images_are_refused_by_line(
    checkpoint: CheckpointFactory, samples: Path, tmp_path: Path
) -> None:
    model = checkpoint("vit", task="image-classification")
    result = proven(model, "image-classification", samples / "pairs.jsonl", tmp_path / "onnx")
    assert result.failure is not None
    assert "pairs.jsonl:1: the model reads image, and the sample has none" in result.failure.message


def test_two_runs_give_the_same_result_but_for_times(
    checkpoint: CheckpointFactory, samples: Path, tmp_path: Path
) -> None:
    model = checkpoint("gpt2", task="text-generation")
    task = "text-generation-with-past"
    texts = samples / "texts.txt"
    texts.write_text("A sentence.\nAnother one, and longer.\n")
    results = [proven(model, task, texts, tmp_path / "onnx") for _ in range(2)]
    first, second = (msgspec.to_builtins(result) for result in results)
    for result in (first, second):
        assert result["verdict"] == "pass"
        assert result.pop("timings")
        assert result.pop("peak_rss_bytes")
    assert first == second
