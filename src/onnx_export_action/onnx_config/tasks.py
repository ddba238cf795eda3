"""The vocabulary of tasks: the Hub's names, the legacy feature names, and the auto classes that load each task."""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Iterable

from onnx_export_action.vocabulary.errors import plan_error

PAST_SUFFIX = "-with-past"

# Task -> auto classes of transformers 5 that load it; the first whose mapping knows the model type is used.
AUTO_CLASSES: dict[str, tuple[str, ...]] = {
    "audio-classification": ("AutoModelForAudioClassification",),
    "audio-frame-classification": ("AutoModelForAudioFrameClassification",),
    "audio-xvector": ("AutoModelForAudioXVector",),
    "automatic-speech-recognition": ("AutoModelForSpeechSeq2Seq", "AutoModelForCTC"),
    "depth-estimation": ("AutoModelForDepthEstimation",),
    "document-question-answering": ("AutoModelForDocumentQuestionAnswering", "AutoModelForImageTextToText"),
    "feature-extraction": ("AutoModel",),
    "fill-mask": ("AutoModelForMaskedLM",),
    "image-classification": ("AutoModelForImageClassification",),
    "image-segmentation": (
        "AutoModelForImageSegmentation",
        "AutoModelForSemanticSegmentation",
        "AutoModelForInstanceSegmentation",
        "AutoModelForUniversalSegmentation",
    ),
    "image-to-image": ("AutoModelForImageToImage",),
    "image-to-text": ("AutoModelForImageTextToText",),
    "keypoint-detection": ("AutoModelForKeypointDetection", "AutoModelForPoseEstimation"),
    "mask-generation": ("AutoModelForMaskGeneration",),
    "masked-im": ("AutoModelForMaskedImageModeling",),
    "multiple-choice": ("AutoModelForMultipleChoice",),
    "object-detection": ("AutoModelForObjectDetection",),
    "question-answering": ("AutoModelForQuestionAnswering",),
    "reinforcement-learning": ("AutoModel",),
    "semantic-segmentation": ("AutoModelForSemanticSegmentation", "AutoModelForUniversalSegmentation"),
    "sentence-similarity": ("AutoModel",),
    "text-classification": ("AutoModelForSequenceClassification",),
    "text-generation": ("AutoModelForCausalLM",),
    "text-to-audio": ("AutoModelForTextToSpectrogram", "AutoModelForTextToWaveform"),
    "text2text-generation": ("AutoModelForSeq2SeqLM",),
    "time-series-forecasting": ("AutoModelForTimeSeriesPrediction",),
    "token-classification": ("AutoModelForTokenClassification",),
    "visual-question-answering": ("AutoModelForVisualQuestionAnswering", "AutoModelForImageTextToText"),
    "zero-shot-image-classification": ("AutoModelForZeroShotImageClassification",),
    "zero-shot-object-detection": ("AutoModelForZeroShotObjectDetection",),
}


class Modality(enum.Enum):
    """What goes into a model: the words for it, and the names under which transformers' models take it."""

    IMAGE = "an image", r"\w*pixel_values\w*|flattened_patches|image_patches|images?|(?:latent_)?sample"
    SOUND = "sound", r"input_values|input_features|audio_\w+|waveform|spectrogram"
    TEXT = "text", r"\w*input_ids|inputs"
    LAYOUT = "an image or the places of the words on it", r"\w*pixel_values\w*|bbox"

    def __init__(self, words: str, names: str) -> None:
        self.words = words
        self._names = re.compile(names)

    def is_taken_by(self, inputs: Iterable[str]) -> bool:
        """Whether one of the inputs is of this kind."""
        return any(self._names.fullmatch(name) for name in inputs)


_OF_SOUND = ("audio-classification", "audio-frame-classification", "audio-xvector", "automatic-speech-recognition")
_OF_IMAGES = (
    "depth-estimation",
    "image-classification",
    "image-segmentation",
    "image-to-image",
    "image-to-text",
    "keypoint-detection",
    "mask-generation",
    "masked-im",
    "object-detection",
    "semantic-segmentation",
)
_OF_IMAGES_AND_TEXTS = (
    "visual-question-answering",
    "zero-shot-image-classification",
    "zero-shot-object-detection",
)
# Task -> what its files must take, all of them together; a model that is called without is not doing the task.
TASK_MODALITIES: dict[str, tuple[Modality, ...]] = {
    **dict.fromkeys(_OF_SOUND, (Modality.SOUND,)),
    **dict.fromkeys(_OF_IMAGES, (Modality.IMAGE,)),
    **dict.fromkeys(_OF_IMAGES_AND_TEXTS, (Modality.IMAGE, Modality.TEXT)),
    "document-question-answering": (Modality.LAYOUT,),
}

# Feature names of transformers.onnx and pipeline names of the Hub that mean one of the tasks above.
TASK_SYNONYMS: dict[str, str] = {
    "audio-ctc": "automatic-speech-recognition",
    "causal-lm": "text-generation",
    "default": "feature-extraction",
    "image-feature-extraction": "feature-extraction",
    "masked-lm": "fill-mask",
    "pretraining": "feature-extraction",
    "seq2seq-lm": "text2text-generation",
    "sequence-classification": "text-classification",
    "speech2seq-lm": "automatic-speech-recognition",
    "summarization": "text2text-generation",
    "text-to-speech": "text-to-audio",
    "translation": "text2text-generation",
    "vision2seq-lm": "image-to-text",
    "zero-shot-classification": "text-classification",
}

# Task -> the feature name that transformers.onnx listed it under; other tasks carried the same name there.
LEGACY_FEATURES: dict[str, str] = {
    "automatic-speech-recognition": "speech2seq-lm",
    "feature-extraction": "default",
    "fill-mask": "masked-lm",
    "image-to-text": "vision2seq-lm",
    "text-classification": "sequence-classification",
    "text-generation": "causal-lm",
    "text2text-generation": "seq2seq-lm",
}


def split_past(task: str) -> tuple[str, bool]:
    """``text-generation-with-past`` -> (``text-generation``, True)."""
    return task.removesuffix(PAST_SUFFIX), task.endswith(PAST_SUFFIX)


def task_name(stem: str, with_past: bool) -> str:
    """(``text-generation``, True) -> ``text-generation-with-past``."""
    return stem + PAST_SUFFIX if with_past else stem


def map_from_synonym(task: str) -> str:
    """The Hub's name of a task that may be given under a legacy name; the ``-with-past`` suffix stays."""
    stem, with_past = split_past(task)
    return task_name(TASK_SYNONYMS.get(stem, stem), with_past)


def legacy_feature(task: str) -> str:
    """The name that transformers.onnx gave a task; the ``-with-past`` suffix stays."""
    stem, with_past = split_past(task)
    return task_name(LEGACY_FEATURES.get(stem, stem), with_past)


def parse_task(task: str) -> tuple[str, bool]:
    """Task name without its suffix, and whether it asks for past keys and values.

    Raises:
        ExportError: no such task; the hint names the nearest one.
    """
    stem, with_past = split_past(map_from_synonym(task))
    if stem not in AUTO_CLASSES:
        known = sorted({*AUTO_CLASSES, *TASK_SYNONYMS})
        raise plan_error(f"unknown task {task!r}", hint=suggestion(split_past(task)[0], known, "tasks"))
    return stem, with_past


def missing_modalities(task: str, inputs: Iterable[str]) -> list[Modality]:
    """What a task is about and none of the inputs of its files takes."""
    names = list(inputs)
    return [one for one in TASK_MODALITIES.get(parse_task(task)[0], ()) if not one.is_taken_by(names)]


def suggestion(word: str, known: Iterable[str], kind: str) -> str:
    """A hint for a word that is not among the known ones: the nearest, then all of them."""
    words = list(known)
    nearest = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    listing = f"known {kind}: {', '.join(words)}"
    return f"did you mean {nearest[0]!r}? {listing}" if nearest else listing
