"""What is special about one model, a file each: its patches (``PATCHES``), and what its files compute (``parts``).

The configuration class of a model type names its file (``TRACEABLE``); below are those of types without a class.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import torch

from onnx_export_action.onnx_config.registry import TasksManager
from onnx_export_action.traceable.private_names import patched

WITHOUT_CLASS = {
    "cpmant": "text.cpmant",
    "dbrx": "text.dbrx",
    "encodec": "audio.encodec",
    "fastspeech2_conformer": "audio.fastspeech2_conformer",
    "fastspeech2_conformer_with_hifigan": "audio.fastspeech2_conformer",
    "focalnet": "vision.focalnet",
    "led": "text.led",
    "maskformer-swin": "vision.maskformer",
    "pixtral": "multimodal.pixtral",
    "radio": "vision.radio",
    "recurrent_gemma": "text.recurrent_gemma",
    "rwkv": "text.rwkv",
    "siglip2": "vision.siglip2",
    "siglip2_vision_model": "vision.siglip2",
    "xlstm": "text.xlstm",
}
"""Model type -> its file, where no configuration class could name it."""


def file_of(name: str) -> ModuleType:
    """The file of a model, by the name that its configuration class gives in ``TRACEABLE``."""
    return importlib.import_module(f"{__name__}.{name}")


@contextmanager
def patched_models(model: torch.nn.Module) -> Iterator[None]:
    """Replace what a graph cannot be made of, in the files of the types that the model and its parts have.

    Raises:
        ExportError: the installed transformers does not have what is to be replaced.
    """
    configs = (getattr(part, "config", None) for part in model.modules())
    types = dict.fromkeys(str(getattr(config, "model_type", "")) for config in configs)
    files = dict.fromkeys(name for model_type in types for name in _files_of_type(model_type))
    with patched(patch for name in files for patch in getattr(file_of(name), "PATCHES", ())):
        yield


def _files_of_type(model_type: str) -> set[str]:
    own = {config_class.TRACEABLE for config_class in TasksManager.get_config_classes(model_type)} - {""}
    return own | ({WITHOUT_CLASS[model_type]} if model_type in WITHOUT_CLASS else set())
