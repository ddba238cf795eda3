"""Models that become several files: the files of one export, run one after the other, do what the whole model does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from onnx_export_action.export.loading import spread_random_weights
from onnx_export_action.results import Verdict
from onnx_export_action.stages import Request, export_and_check
from tests.architectures.proving import reason_of
from tests.architectures.tiny import tiny_config

Arrays = dict[str, np.ndarray[Any, Any]]
Run = Callable[..., Arrays]


class Exported:
    """A tiny model, and the ONNX files that were made of it."""

    def __init__(self, model: Any, folder: Path) -> None:
        self.model = model
        self.names = {path.stem for path in folder.glob("*.onnx")}
        self._folder = folder

    def run(self, name: str, **inputs: Any) -> Arrays:
        """One file's outputs by name."""
        session = onnxruntime.InferenceSession(str(self._folder / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        feeds = {key: value.numpy() if isinstance(value, torch.Tensor) else value for key, value in inputs.items()}
        return dict(zip(names, session.run(names, feeds), strict=True))


def exported(model_class: Any, task: str, folder: Path, **changes: Any) -> Exported:
    """Save a tiny model, export it and have every file proven."""
    config = tiny_config(model_class.config_class.model_type, **changes)
    model = model_class(config).eval()
    spread_random_weights(model, seed=3)
    model.save_pretrained(folder / "model")
    request = Request(name="tiny", model=str(folder / "model"), destination=folder / "made", task=task)
    result = export_and_check(request, progress=lambda _: None)
    assert result.verdict is Verdict.PASS, reason_of(result)
    return Exported(model, folder / "made" / "onnx")


@pytest.fixture(autouse=True)
def repeatable() -> None:
    torch.manual_seed(0)


def assert_close(found: np.ndarray[Any, Any], expected: torch.Tensor) -> None:
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-4, rtol=1e-4)


def test_sam_masks_an_image_for_several_prompts(tmp_path: Path) -> None:
    from transformers import SamModel

    sam = exported(SamModel, "feature-extraction", tmp_path)
    assert sam.names == {"vision_encoder", "prompt_encoder_mask_decoder"}
    pixels = torch.randn(2, 3, 32, 32)
    encoded = sam.run("vision_encoder", pixel_values=pixels)
    for masks, points in ((1, 3), (4, 1)):
        places, labels = torch.rand(2, masks, points, 2) * 32, torch.randint(0, 2, (2, masks, points))
        found = sam.run("prompt_encoder_mask_decoder", input_points=places, input_labels=labels, **encoded)
        with torch.inference_mode():
            whole = sam.model(pixel_values=pixels, input_points=places, input_labels=labels)
        assert_close(found["pred_masks"], whole.pred_masks)
        assert_close(found["iou_scores"], whole.iou_scores)


def greedy(files: Exported, encoder_inputs: dict[str, torch.Tensor], steps: int) -> list[list[int]]:
    """Tokens by way of the encoder once and the merged decoder step by step, its cache handed on."""
    encoded = files.run("encoder_model", **encoder_inputs)["last_hidden_state"]
    mask = encoder_inputs["attention_mask"]
    start = files.model.generation_config.decoder_start_token_id
    tokens = [torch.full((len(mask), 1), start)]
    config = files.model.config.get_text_config(decoder=True)
    heads, size = config.num_attention_heads, config.hidden_size // config.num_attention_heads
    layers = range(config.num_hidden_layers)
    empty = {
        f"past_key_values.{layer}.{side}.{part}": np.zeros((len(mask), heads, 0, size), np.float32)
        for layer in layers
        for side in ("decoder", "encoder")
        for part in ("key", "value")
    }
    cache: Arrays = empty
    for step in range(steps):
        extra = {"decoder_attention_mask": torch.ones(len(mask), step + 1, dtype=torch.int64)}
        found = files.run(
            "decoder_model_merged",
            input_ids=tokens[-1],
            encoder_hidden_states=encoded,
            encoder_attention_mask=mask,
            use_cache_branch=np.array([step > 0]),
            **(extra if "flattened_patches" in encoder_inputs else {}),
            **cache,
        )
        tokens.append(torch.from_numpy(found["logits"][:, -1].argmax(-1))[:, None])
        given = {
            name.replace("present", "past_key_values"): array for name, array in found.items() if "present" in name
        }
        cache |= given if step == 0 else {name: array for name, array in given.items() if ".decoder." in name}
    return torch.cat(tokens, dim=1).tolist()


def speech(name: str) -> dict[str, torch.Tensor]:
    """Two inputs of different length, padded together; one of random noise, one a tone."""
    if name == "moonshine":
        sound = torch.stack([torch.randn(4000), torch.sin(torch.arange(4000) * 0.05)])
        mask = torch.ones(2, 4000, dtype=torch.int64)
        mask[1, 2500:] = 0
        return {"input_values": sound * mask, "attention_mask": mask}
    width = {"speech_to_text": 80, "pix2struct": 2 + 768}[name]
    mask = torch.ones(2, 60, dtype=torch.int64)
    mask[1, 33:] = 0
    values = torch.randn(2, 60, width)
    if name == "pix2struct":
        values[..., :2] = torch.randint(0, 40, (2, 60, 2)).float()
    return {
        "flattened_patches" if name == "pix2struct" else "input_features": values * mask[..., None],
        "attention_mask": mask,
    }


@pytest.mark.parametrize(
    ("class_name", "task"),
    [
        ("MoonshineForConditionalGeneration", "automatic-speech-recognition-with-past"),
        ("Speech2TextForConditionalGeneration", "automatic-speech-recognition-with-past"),
        ("Pix2StructForConditionalGeneration", "image-to-text-with-past"),
    ],
)
def test_the_files_of_an_encoder_decoder_generate_what_the_model_generates(
    class_name: str, task: str, tmp_path: Path
) -> None:
    import transformers

    model_class = getattr(transformers, class_name)
    # With the embeddings' own weights a random model repeats the first token for ever.
    files = exported(model_class, task, tmp_path, tie_word_embeddings=False)
    inputs = speech(model_class.config_class.model_type)
    files.model.generation_config.eos_token_id = None
    with torch.inference_mode():
        expected = files.model.generate(**inputs, max_new_tokens=6, do_sample=False, num_beams=1)
    assert greedy(files, inputs, steps=6) == expected[:, :7].tolist()
    assert len(set(expected.flatten().tolist())) > 3
