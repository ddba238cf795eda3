"""Sentence-transformers: a model of transformers, and the modules that make one embedding of a text.

The modules are our own, of plain torch, so that a model is exported without that library and nothing of its files is
imported by name. Each computes what its namesake in sentence-transformers 6.2 does; a test compares them.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file

from onnx_export_action.onnx_config.registry import TasksManager
from onnx_export_action.project import sentence_modules
from onnx_export_action.project.sentence_modules import PoolingMode, SentenceModules, Step
from onnx_export_action.project.weight_names import chosen_name
from onnx_export_action.vocabulary.errors import load_error

Features = dict[str, torch.Tensor]

# Model type of an encoder-decoder -> the class of its encoder alone, as sentence-transformers loads it.
_ENCODERS = {
    "t5": "T5EncoderModel",
    "mt5": "MT5EncoderModel",
    "umt5": "UMT5EncoderModel",
    "longt5": "LongT5EncoderModel",
    "switch_transformers": "SwitchTransformersEncoderModel",
}


def sentence_model_class(config: Any) -> Any:
    """The class of transformers that sentence-transformers loads for a configuration."""
    if config.model_type in _ENCODERS:
        return getattr(transformers, _ENCODERS[config.model_type])
    return TasksManager.get_model_class_for_task("feature-extraction", model_type=config.model_type)


class Pooling(torch.nn.Module):
    """(batch, length, size) and a mask to (batch, modes * size)."""

    def __init__(self, settings: sentence_modules.Pooling) -> None:
        super().__init__()
        self._settings = settings

    def forward(self, features: Features) -> Features:
        """Add ``sentence_embedding``."""
        tokens, mask = features["token_embeddings"], features["attention_mask"].to(torch.int32)
        padding = mask.argmax(dim=1, keepdim=True)  # on the left of each row
        positions = torch.arange(tokens.shape[1])[None]
        counted = mask
        if "prompt_length" in features:
            counted = torch.where(positions < padding + features["prompt_length"], torch.zeros_like(mask), mask)
        vectors = [_pooled(mode, tokens, counted, positions + 1 - padding) for mode in self._settings.modes]
        return features | {"sentence_embedding": torch.cat(vectors, dim=-1)}


def _pooled(mode: PoolingMode, tokens: torch.Tensor, mask: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """One vector a row; ``places`` counts the tokens of each row from 1, ``mask`` is int32.

    ``argmax`` of int32, as ONNX Runtime once chose wrongly for int64
    (https://github.com/microsoft/onnxruntime/issues/10068).
    """
    weights = mask.unsqueeze(-1).to(tokens.dtype)
    if mode == "cls":
        return _token_at(tokens, mask.argmax(dim=1))
    if mode == "lasttoken":
        return _token_at(tokens * weights, mask.shape[1] - 1 - mask.flip(1).argmax(dim=1))
    if mode == "max":
        return tokens.masked_fill(weights == 0, float("-inf")).amax(dim=1)
    if mode == "weightedmean":
        weights = weights * places.unsqueeze(-1).to(tokens.dtype)
    total = torch.clamp(weights.sum(dim=1), min=1e-9)
    summed = (tokens * weights).sum(dim=1)
    return summed / (torch.sqrt(total) if mode == "mean_sqrt_len_tokens" else total)


def _token_at(tokens: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    return tokens.gather(1, places[:, None, None].expand(-1, 1, tokens.shape[-1])).squeeze(1)


class Dense(torch.nn.Module):
    """A linear layer and an activation; ``linear`` and ``residual`` are named as in the files of weights."""

    def __init__(self, settings: sentence_modules.Dense) -> None:
        super().__init__()
        self._settings = settings
        self.linear = torch.nn.Linear(settings.in_features, settings.out_features, bias=settings.bias)
        self._activation = getattr(torch.nn, settings.activation)()
        if settings.use_residual and settings.in_features != settings.out_features:
            self.residual = torch.nn.Linear(settings.in_features, settings.out_features, bias=False)

    def forward(self, features: Features) -> Features:
        """Replace or add the feature."""
        settings = self._settings
        given = features[settings.module_input_name]
        found = self._activation(self.linear(given))
        if settings.use_residual:
            found = found + (self.residual(given) if hasattr(self, "residual") else given)
        return features | {settings.module_output_name or settings.module_input_name: found}


class Normalize(torch.nn.Module):
    """Length one."""

    def __init__(self, settings: sentence_modules.Normalize) -> None:
        super().__init__()
        self._settings = settings

    def forward(self, features: Features) -> Features:
        """Replace or add the feature."""
        given = features.get(self._settings.module_input_name)
        if given is None:
            return features
        name = self._settings.module_output_name or self._settings.module_input_name
        return features | {name: torch.nn.functional.normalize(given, p=2, dim=-1)}


class LayerNorm(torch.nn.Module):
    """A layer norm; ``norm`` is named as in the files of weights."""

    def __init__(self, settings: sentence_modules.LayerNorm) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(settings.dimension)

    def forward(self, features: Features) -> Features:
        """Replace the embedding."""
        return features | {"sentence_embedding": self.norm(features["sentence_embedding"])}


def _made(step: Step) -> torch.nn.Module:
    match step:
        case sentence_modules.Pooling():
            return Pooling(step)
        case sentence_modules.Dense():
            return Dense(step)
        case sentence_modules.Normalize():
            return Normalize(step)
        case sentence_modules.LayerNorm():
            return LayerNorm(step)
    return torch.nn.Identity()  # dropout, which is for training


class SentenceModel(torch.nn.Module):
    """A text encoder and its modules: gives ``token_embeddings`` and ``sentence_embedding``."""

    def __init__(self, transformer: Any, modules: SentenceModules) -> None:
        super().__init__()
        self.transformer = transformer
        self.steps = torch.nn.ModuleList([_made(step) for step, _ in modules.steps])
        self.config = transformer.config
        # What `onnx_config.sentence` reads: a caller may say how long the prompt is that counts for nothing.
        self.config.takes_prompt_length = any(
            isinstance(step, sentence_modules.Pooling) and not step.include_prompt for step, _ in modules.steps
        )

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
        prompt_length: torch.Tensor | None = None,
    ) -> Features:
        """Every feature by its name; ids, mask and types (batch, length), ``prompt_length`` a number."""
        arguments: dict[str, Any] = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            arguments["token_type_ids"] = token_type_ids
        if "use_cache" in inspect.signature(self.transformer.forward).parameters:
            arguments["use_cache"] = False
        states = self.transformer(**arguments).last_hidden_state
        features = {"last_hidden_state": states, "token_embeddings": states, "attention_mask": attention_mask}
        if prompt_length is not None:
            features["prompt_length"] = prompt_length
        return _through(self.steps, features)


class SentenceClipModel(torch.nn.Module):
    """CLIP and the modules after it, for the embeddings of texts and of images each."""

    def __init__(self, transformer: Any, modules: SentenceModules) -> None:
        super().__init__()
        self.transformer = transformer
        self.steps = torch.nn.ModuleList([_made(step) for step, _ in modules.steps])
        self.config = transformer.config

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, pixel_values: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """``text_embeds`` (texts, size) and ``image_embeds`` (images, size)."""
        clip = self.transformer
        text = clip.text_projection(clip.text_model(input_ids, attention_mask=attention_mask).pooler_output)
        image = clip.visual_projection(clip.vision_model(pixel_values).pooler_output)
        return {"text_embeds": self._embedding(text), "image_embeds": self._embedding(image)}

    def _embedding(self, vectors: torch.Tensor) -> torch.Tensor:
        return _through(self.steps, {"sentence_embedding": vectors})["sentence_embedding"]


def _through(steps: torch.nn.ModuleList, features: Features) -> Features:
    for step in steps:
        features = step(features)
    return features


def with_modules(transformer: Any, modules: SentenceModules, *, clip: bool) -> Any:
    """The model of transformers with its modules around it, in evaluation mode."""
    return (SentenceClipModel if clip else SentenceModel)(transformer, modules).eval()


def load_module_weights(model: Any, modules: SentenceModules) -> None:
    """Load the weights of the modules that have any.

    Raises:
        ExportError: they are missing, damaged, or of other shapes than the settings say.
    """
    for module, (_, folder) in zip(model.steps, modules.steps, strict=True):
        if module.state_dict():
            _load(module, folder)


def _load(module: torch.nn.Module, folder: Path) -> None:
    name = chosen_name(path.name for path in folder.iterdir()) if folder.is_dir() else None
    if name is None:
        raise load_error(f"{folder} holds no weights (model.safetensors or pytorch_model.bin)", "add them")
    path = folder / name
    try:
        weights = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
        module.load_state_dict(weights)
    except Exception as error:  # safetensors, pickle and torch raise what they like on a damaged file
        text = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise load_error(f"{path} does not hold the weights of this module: {text}", "save them again") from error
    module.float()
