"""A pass says that the task is done: pixels go into a file for images, sound into one for speech."""

import pytest

from onnx_export_action.onnx_config import TasksManager
from onnx_export_action.onnx_config.tasks import TASK_MODALITIES, missing_modalities
from onnx_export_action.vocabulary.results import Verdict
from tests.architectures.expected import Pair
from tests.architectures.proving import prove
from tests.architectures.tiny import tiny_config


@pytest.mark.parametrize(
    ("model_type", "task", "words"),
    [
        ("smolvlm", "image-to-text", "image-to-text is about an image"),
        ("qwen2_vl", "image-to-text", "image-to-text is about an image"),
        ("llava_next", "visual-question-answering", "visual-question-answering is about an image"),
        ("kyutai_speech_to_text", "automatic-speech-recognition", "automatic-speech-recognition is about sound"),
    ],
)
def test_a_file_that_takes_only_the_text_is_no_pass(model_type: str, task: str, words: str) -> None:
    outcome = prove(Pair(model_type, task))
    assert outcome.verdict is Verdict.ERROR
    assert words in str(outcome.reason)


def test_the_registered_types_take_what_their_tasks_are_about() -> None:
    looked_at = 0
    for model_type in TasksManager.get_supported_model_types():
        for task in TasksManager.get_supported_tasks_for_model_type(model_type):
            if task.removesuffix("-with-past") not in TASK_MODALITIES or model_type in _OF_OTHER_LIBRARIES:
                continue
            constructor = TasksManager.get_exporter_config_constructor("onnx", model_type=model_type, task=task)
            onnx_config = constructor(tiny_config(model_type))
            inputs = [name for _, component in onnx_config.components() for name in component.inputs]
            missing = set(missing_modalities(task, inputs)) - onnx_config.OTHER_FORMS
            assert not missing, (model_type, task, inputs)
            looked_at += 1
    assert looked_at > 90


_OF_OTHER_LIBRARIES = ("autoencoder-kl", "unet-2d-condition", "timm_wrapper")
