"""Positions that are resized for each image of a batch."""

from pathlib import Path

import torch

from onnx_export_action.traceable.models.vision.siglip2 import resized_for_each
from tests.integration.test_symbolics import assert_traced_right


def test_as_siglip2_resizes_them_one_by_one(tmp_path: Path) -> None:
    from transformers.models.siglip2.modeling_siglip2 import Siglip2VisionEmbeddings

    table = torch.randn(6, 5, 3)

    def compute(shapes: torch.Tensor) -> torch.Tensor:
        return resized_for_each(table, shapes, max_length=64)

    inputs = [(torch.tensor(shapes),) for shapes in ([[2, 3], [6, 5]], [[8, 8]], [[1, 1], [12, 4], [5, 11]])]
    for (shapes,) in inputs:
        wanted = Siglip2VisionEmbeddings.resize_positional_embeddings(table, shapes, 64)
        torch.testing.assert_close(compute(shapes), wanted, atol=1e-5, rtol=1e-5)
    assert_traced_right(compute, *inputs, path=tmp_path / "file.onnx", axes=(0,), opset=18)
