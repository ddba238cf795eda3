"""What stands in for functions of transformers while a graph is made computes the same."""

import pytest
import torch
from transformers import LongformerConfig, LongformerModel

from onnx_export_action.export.exporter import patched
from onnx_export_action.export.loading import spread_random_weights


@pytest.fixture(scope="module")
def longformer() -> LongformerModel:
    config = LongformerConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
        attention_window=[4, 8],
        pad_token_id=1,
    )
    model = LongformerModel(config).eval()
    spread_random_weights(model, 0)
    return model


@pytest.mark.parametrize("length", [1, 7, 8, 29])
@pytest.mark.parametrize("global_tokens", [0, 1, 5])
def test_longformer_sees_the_same(longformer: LongformerModel, length: int, global_tokens: int) -> None:
    generator = torch.Generator().manual_seed(length)
    inputs = {"input_ids": torch.randint(2, 50, (3, length), generator=generator)}
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    inputs["attention_mask"][1, length // 2 + 1 :] = 0
    inputs["global_attention_mask"] = torch.zeros_like(inputs["input_ids"])
    inputs["global_attention_mask"][0, :global_tokens] = 1
    inputs["global_attention_mask"][2, length - global_tokens // 2 :] = 1
    with torch.inference_mode():
        expected = longformer(**inputs).last_hidden_state
        with patched([], longformer):
            found = longformer(**inputs).last_hidden_state
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
