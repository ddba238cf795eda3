"""What a task is about goes into its files: pixels, sound, texts."""

import pytest

from onnx_export_action.onnx_config.tasks import AUTO_CLASSES, TASK_MODALITIES, Modality, missing_modalities


def test_tasks_with_a_modality_are_tasks() -> None:
    assert TASK_MODALITIES.keys() <= AUTO_CLASSES.keys()


@pytest.mark.parametrize(
    ("task", "inputs", "missing"),
    [
        ("image-to-text", ["input_ids", "attention_mask"], [Modality.IMAGE]),
        ("image-to-text-with-past", ["pixel_attention_mask", "input_ids", "image_hidden_states"], [Modality.IMAGE]),
        ("image-to-text", ["pixel_values", "encoder_hidden_states", "input_ids"], []),
        ("vision2seq-lm", ["flattened_patches", "input_ids"], []),
        ("zero-shot-image-classification", ["pixel_values"], [Modality.TEXT]),
        ("visual-question-answering", ["input_ids"], [Modality.IMAGE]),
        ("automatic-speech-recognition", ["inputs_embeds", "attention_mask"], [Modality.SOUND]),
        ("audio-ctc", ["input_values"], []),
        ("document-question-answering", ["input_ids", "bbox"], []),
        ("document-question-answering", ["input_ids"], [Modality.LAYOUT]),
        ("text-generation-with-past", [], []),
    ],
)
def test_what_no_input_takes_is_missing(task: str, inputs: list[str], missing: list[Modality]) -> None:
    assert missing_modalities(task, inputs) == missing
