"""What stands in for functions of transformers while a graph is made computes the same."""

import inspect

import pytest
import torch
from transformers import AutoModel, LongformerConfig, LongformerModel

from onnx_export_action.loading.model import spread_random_weights
from onnx_export_action.traceable import traced_as
from onnx_export_action.vocabulary.supported.engines import Engine
from tests.architectures.tiny import tiny_config


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
        with traced_as(Engine.TRACER, longformer):
            found = longformer(**inputs).last_hidden_state
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def ids(batch: int, length: int) -> dict[str, torch.Tensor]:
    return {"input_ids": torch.randint(5, 50, (batch, length))}


def image(batch: int, height: int, width: int) -> dict[str, torch.Tensor]:
    return {"pixel_values": torch.randn(batch, 3, height, width)}


@pytest.mark.parametrize(
    ("model_type", "inputs"),
    [
        ("cpmant", [ids(2, 7), {"input_ids": torch.tensor([[0, 0, 9, 8], [7, 6, 5, 4]])}]),
        ("dbrx", [ids(3, 7), ids(1, 1)]),
        ("fastspeech2_conformer", [ids(3, 7), ids(1, 4)]),
        ("focalnet", [image(2, 32, 32), image(1, 45, 37)]),
        ("pixtral", [image(3, 32, 32), image(1, 24, 40)]),
        ("radio", [image(2, 32, 32), image(1, 24, 40), image(1, 48, 16)]),
        ("rwkv", [ids(2, 7), ids(1, 1)]),
        ("xlstm", [ids(2, 7), ids(1, 1), ids(1, 70)]),
    ],
)
def test_a_patched_model_computes_the_same(model_type: str, inputs: list[dict[str, torch.Tensor]]) -> None:
    model = AutoModel.from_config(tiny_config(model_type)).eval()
    spread_random_weights(model, 0)
    takes_cache = "use_cache" in inspect.signature(model.forward).parameters
    given = {"use_cache": False} if takes_cache else {}
    with torch.inference_mode():
        for case in inputs:
            expected = model(**case, **given)[0]
            with traced_as(Engine.TRACER, model):
                found = model(**case, **given)[0]
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
