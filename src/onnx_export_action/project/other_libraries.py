"""What a config.json says that another library than transformers wrote, in the words of the register."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onnx_export_action.project.sentence_modules import (
    MODULES_NAME,
    Pooling,
    has_sentence_modules,
    read_sentence_modules,
)
from onnx_export_action.vocabulary.errors import plan_error
from onnx_export_action.vocabulary.problems import quoted

# What transformers (``PreTrainedConfig.get_config_dict``) adds to a configuration that timm wrote.
_TIMM = {"model_type": "timm_wrapper", "architectures": ["TimmWrapperForImageClassification"]}

# One of two classes of a model type that differ in what they give; optimum's type for it tells them apart.
_WITH_PROJECTION = "CLIPTextModelWithProjection"
# Class of diffusers that a component's configuration names -> the model type that it is registered under.
DIFFUSERS_TYPES = {"AutoencoderKL": "autoencoder-kl", "UNet2DConditionModel": "unet-2d-condition"}

# What a folder of sentence-transformers is registered under, as optimum has it, where CLIP is another library's clip.
SENTENCE_MODEL, SENTENCE_CLIP = "transformer", "sentence-transformers-clip"
# A cross-encoder, which sentence-transformers saves too: it scores pairs and embeds nothing.
_CROSS_ENCODER = "ForSequenceClassification"
SENTENCE_TASKS = ("auto", "default", "feature-extraction", "sentence-similarity")


def as_model_config(config: dict[str, Any]) -> dict[str, Any]:
    """A model's configuration with the ``model_type`` that the register knows it by; as it is where it has its own."""
    if "pretrained_cfg" in config:
        return _TIMM | config
    if config.get("model_type") == "clip_text_model" and config.get("architectures") == [_WITH_PROJECTION]:
        return config | {"model_type": "clip-text-with-projection"}
    class_name = diffusers_class(config)
    if class_name in DIFFUSERS_TYPES:
        return {"model_type": DIFFUSERS_TYPES[class_name], "architectures": [class_name]} | config
    return config


def diffusers_class(config: Mapping[str, Any]) -> str:
    """The class of diffusers that a component's configuration names; empty where it names none."""
    class_name = config.get("_class_name")
    return class_name if isinstance(class_name, str) and "model_type" not in config else ""


def embeds_sentences(folder: Path, config: Mapping[str, Any], task: str) -> bool:
    """Whether a task is about a folder of sentence-transformers as a whole, and not about the model in it alone."""
    if task not in SENTENCE_TASKS or not has_sentence_modules(folder):
        return False
    classes = config.get("architectures")
    ranks_pairs = isinstance(classes, list) and any(str(name).endswith(_CROSS_ENCODER) for name in classes)
    return task != "auto" or not ranks_pairs


def as_sentence_config(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a folder of sentence-transformers, whose modules make one embedding of a text.

    Raises:
        ExportError: the modules cannot be read, are of other kinds than are known, or pool nothing.
    """
    modules = read_sentence_modules(folder)
    is_clip = modules.model == "CLIPModel" or config.get("model_type") == "clip"
    if not is_clip and not any(isinstance(step, Pooling) for step, _ in modules.steps):
        raise plan_error(f"{folder / MODULES_NAME} has no Pooling: nothing makes one embedding of a text")
    known = ("get_text_features", "pooler_output") if is_clip else ("forward", "last_hidden_state")
    if modules.call not in (None, known):
        said = " and ".join(quoted(word) for word in modules.call or ())
        raise plan_error(f"{folder}: texts are embedded by {said} of the model, which is not exported")
    name = SENTENCE_CLIP if is_clip else SENTENCE_MODEL
    return config | {"model_type": name, "architectures": ["SentenceTransformerModel"]}
