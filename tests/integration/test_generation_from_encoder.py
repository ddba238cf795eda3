"""Encoder-decoders write the same text through their ONNX files as ``model.generate``: text, speech and images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnx_export_action.pipeline.running import check_folder, export_and_check
from onnx_export_action.vocabulary.jobs import Request
from onnx_export_action.vocabulary.results import TargetResult, Verdict
from tests.conftest import CheckpointFactory


@pytest.mark.parametrize(
    ("model_type", "task"),
    [
        ("t5", "text2text-generation-with-past"),
        ("t5", "text2text-generation"),
        ("whisper", "automatic-speech-recognition-with-past"),
        ("vision-encoder-decoder", "image-to-text-with-past"),
    ],
)
def test_32_tokens_are_compared_through_the_files(
    model_type: str, task: str, checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    model = checkpoint(model_type, task=task.removesuffix("-with-past"))
    request = Request(name="x", model=str(model), destination=tmp_path / "out", task=task)
    result = export_and_check(request, progress=lambda _: None)
    assert result.verdict is Verdict.PASS, result.failure
    [generation] = [file.generation for file in result.files if file.generation is not None]
    assert (generation.equal, generation.prompts, generation.tokens) == (True, 2, 32)
    if model_type == "t5" and task.endswith("-with-past"):
        wrong = with_another_encoder(request)
        assert wrong.verdict is Verdict.FAIL
        [generation] = [file.generation for file in wrong.files if file.generation is not None]
        assert not generation.equal


def with_another_encoder(request: Request) -> TargetResult:
    """The same files checked again beside an encoder of other weights: the decoder is right, the text is not."""
    path = request.destination / "onnx/encoder_model.onnx"
    model = onnx.load(path)
    largest = max(model.graph.initializer, key=lambda one: int(np.prod(one.dims)))
    array = numpy_helper.to_array(largest)
    largest.CopyFrom(numpy_helper.from_array(array[::-1].copy(), largest.name))
    onnx.save(model, path)
    return check_folder(request, progress=lambda _: None)
