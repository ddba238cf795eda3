"""Loads a model into memory: from its weights, or built from its configuration with seeded random weights."""

from __future__ import annotations

import math
import os
import pickle
import re
import traceback
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging as transformers_logging

from onnx_export_action.configuring.configuration import onnx_config_for
from onnx_export_action.loading.calibrating import calibrate_batch_norms, has_batch_norms
from onnx_export_action.loading.checkpoint import weight_files
from onnx_export_action.loading.fitting import Fit
from onnx_export_action.loading.offline import offline
from onnx_export_action.loading.sentence import load_module_weights, sentence_model_class, with_modules
from onnx_export_action.loading.tensors import TensorFiles
from onnx_export_action.onnx_config.registry import TasksManager
from onnx_export_action.onnx_config.tasks import AUTO_CLASSES, parse_task
from onnx_export_action.project.checkpoint_tensors import listed
from onnx_export_action.project.other_libraries import DIFFUSERS_TYPES, SENTENCE_CLIP, SENTENCE_MODEL
from onnx_export_action.project.sentence_modules import config_folder, read_sentence_modules
from onnx_export_action.traceable.calling import FlatModel
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.errors import ExportError, load_error
from onnx_export_action.vocabulary.jobs import Job
from onnx_export_action.vocabulary.names.file_names import CONFIG_NAME
from onnx_export_action.vocabulary.results import Stage

# Arguments of timm.create_model that a configuration may not give. timm 1.0.31 writes the first, which transformers
# 5.23 passes by itself ("multiple values for num_classes"); the others fetch weights, where the checkpoint has its own.
_NO_MODEL_ARGUMENTS = ("num_classes", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path")
_CONVOLUTIONS = (
    *(torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d),
    *(torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d),
)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{2,60}")


@dataclass(frozen=True)
class LoadedModel:
    """A float32 model in evaluation mode.

    ``missing`` names parameters that the checkpoint does not hold; ``notes`` say what of it the model does not use.
    """

    model: PreTrainedModel
    missing: frozenset[str] = field(default_factory=frozenset)
    notes: list[str] = field(default_factory=list)


def load_model(job: Job) -> LoadedModel:
    """Load or build the model of ``job`` in float32.

    Raises:
        ExportError: weights are missing, damaged or of another shape, or the class cannot be built.
    """
    with _quiet(), offline():
        try:
            if job.model_type in DIFFUSERS_TYPES.values():
                loaded = _component_of_diffusers(job)
            elif job.model_type in (SENTENCE_MODEL, SENTENCE_CLIP):
                loaded = _sentence_model(job)
            else:
                loaded = _model_of_transformers(job)
        except ExportError:
            raise
        except Exception as error:  # from_pretrained raises whatever the model's own constructor raises
            raise load_error(*_explained(error, job.folder)) from error
    loaded.model.eval()
    return loaded


def _model_of_transformers(job: Job) -> LoadedModel:
    config = _config(job)
    model_class = _model_class(config, job)
    make = _built if job.options.weights is Weights.RANDOM else _loaded
    loaded = make(model_class, config, job)
    return _with_inner_models(loaded, job)


def _model_class(config: PreTrainedConfig, job: Job) -> Any:
    """The auto class of the task: the one that knows the model type, or that the repository's code stands behind."""
    own_code = getattr(config, "auto_map", None) or {}
    names = AUTO_CLASSES[parse_task(job.task)[0]] if job.trust_remote_code else ()
    found = next((getattr(transformers, name) for name in names if name in own_code), None)
    return found or TasksManager.get_model_class_for_task(job.task, model_type=job.model_type)


def _sentence_model(job: Job) -> LoadedModel:
    """A folder of sentence-transformers: its model, and the modules that make one embedding of a text."""
    modules = read_sentence_modules(job.folder)
    config = _config(job)
    inner = _built if job.options.weights is Weights.RANDOM else _loaded
    loaded = inner(sentence_model_class(config), config, job)
    whole = with_modules(loaded.model, modules, clip=job.model_type == SENTENCE_CLIP)
    if job.options.weights is Weights.RANDOM:
        spread_random_weights(whole.steps, job.options.seed)
    else:
        load_module_weights(whole, modules)
    return LoadedModel(whole, frozenset(f"transformer.{name}" for name in loaded.missing), loaded.notes)


def _component_of_diffusers(job: Job) -> LoadedModel:
    """A component of a pipeline, whose class config.json names; diffusers 0.42 refuses weights that do not fit it."""
    import diffusers

    class_name = next(name for name, model_type in DIFFUSERS_TYPES.items() if model_type == job.model_type)
    model_class = getattr(diffusers, class_name)
    if job.options.weights is Weights.LOAD:
        model, info = model_class.from_pretrained(
            job.folder,
            torch_dtype=torch.float32,
            local_files_only=True,
            low_cpu_mem_usage=False,  # what it does without accelerate, after a page of advice
            output_loading_info=True,
        )
        return _fitted(model, job.folder, info)
    torch.manual_seed(job.options.seed)
    model = model_class.from_config(model_class.load_config(job.folder, local_files_only=True))
    spread_random_weights(model, job.options.seed)
    return LoadedModel(model)


def _with_inner_models(loaded: LoadedModel, job: Job) -> LoadedModel:
    """Add the models in folders inside the model's own that its configuration class names, each as an attribute.

    SpeechT5's vocoder is one: transformers keeps the two apart, ``generate_speech`` is given a ``SpeechT5HifiGan``.
    """
    classes = TasksManager.get_config_classes(job.model_type)
    for name, class_name in {item for one in classes for item in one.INNER_MODELS.items()}:
        folder, inner_class = job.folder / name, getattr(transformers, class_name)
        if not (folder / CONFIG_NAME).is_file():
            continue
        if job.options.weights is Weights.RANDOM:
            inner = LoadedModel(inner_class(inner_class.config_class.from_pretrained(folder, local_files_only=True)))
            spread_random_weights(inner.model, job.options.seed)
        else:
            inner = _from_pretrained(inner_class, folder)
        setattr(loaded.model, name, inner.model)
        setattr(loaded.model.config, f"{name}_config", inner.model.config.to_dict())
        loaded = replace(
            loaded,
            missing=loaded.missing | {f"{name}.{parameter}" for parameter in inner.missing},
            notes=loaded.notes + inner.notes,
        )
    return loaded


def _config(job: Job) -> PreTrainedConfig:
    folder = config_folder(job.folder)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=job.trust_remote_code, local_files_only=True)
    except Exception as error:  # a configuration class raises whatever its own checks raise
        message, hint = _explained(error, folder / CONFIG_NAME)
        # What transformers says names the keys; of its words those are looked for in the file.
        raise ExportError(message, stage=Stage.LOAD, hint=hint, config_keys=_WORD.findall(message)) from error
    if config.model_type == "timm_wrapper" and config.model_args:
        for name in _NO_MODEL_ARGUMENTS:
            config.model_args.pop(name, None)
    return config


def _loaded(model_class: Any, config: PreTrainedConfig, job: Job) -> LoadedModel:
    return _from_pretrained(
        model_class, config_folder(job.folder), config=config, trust_remote_code=job.trust_remote_code
    )


def _from_pretrained(model_class: Any, folder: Path, **options: Any) -> LoadedModel:
    """A model of transformers with the weights in ``folder``.

    Raises:
        ExportError: the weights have other shapes than the model, or are not those of this model.
    """
    model, info = model_class.from_pretrained(
        folder,
        dtype=torch.float32,
        local_files_only=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # reported below; transformers itself would only log which they are
        **options,
    )
    if info["mismatched_keys"]:
        raise load_error(*_mismatch(folder, info["mismatched_keys"]))
    return _fitted(model, folder, info)


def _fitted(model: Any, folder: Path, info: Mapping[str, Any]) -> LoadedModel:
    """A model that its checkpoint fits; ``info`` is what loading said of its names.

    Raises:
        ExportError: it does not.
    """
    fit = Fit(model, TensorFiles(weight_files(folder)), info["unexpected_keys"], info["missing_keys"])
    misfit = fit.misfit(folder)
    if misfit is not None:
        raise misfit
    return LoadedModel(model, frozenset(info["missing_keys"]), fit.notes())


def _built(model_class: Any, config: PreTrainedConfig, job: Job) -> LoadedModel:
    torch.manual_seed(job.options.seed)
    # Where several classes fit, transformers 5.23 goes through the architectures without asking whether there are any.
    config.architectures = config.architectures or []
    if hasattr(model_class, "from_config"):
        model = model_class.from_config(config, dtype=torch.float32, trust_remote_code=job.trust_remote_code)
    else:  # no auto class but the model's own
        model = model_class._from_config(config, dtype=torch.float32)
    spread_random_weights(model, job.options.seed)
    model.eval()
    if has_batch_norms(model):
        with suppress(Exception):  # the export reports a model that does not run, with the reason
            calibrate_batch_norms(model, lambda: _call_once(model, job))
    return LoadedModel(model)


def _call_once(model: PreTrainedModel, job: Job) -> None:
    for _, component in onnx_config_for(model, job).components():
        inputs = component.generate_dummy_inputs("pt", seed=job.options.seed, padding="none")
        FlatModel(model, component)(*inputs.values())


def spread_random_weights(model: torch.nn.Module, seed: int) -> None:
    """Draw weights at scales that keep signals alive through depth, so that outputs vary with inputs.

    Fresh Transformers initialisation (standard deviation 0.02, zero biases, zero residual scales) leaves the outputs
    of some architectures at 1e-9 and below, where every file agrees with every model. Convolutions get He
    initialisation (He et al. 2015, https://arxiv.org/abs/1502.01852), matrices keep the variance of what they are
    given, norms get a scale around one, biases 0.1. Matrices of twice that variance would make the attention of
    models without norms (MobileBERT) so sharp that rounding decides it.
    Values depend on the seed and the parameters' order alone.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.requires_grad and parameter.is_floating_point():
                    _redraw(module, name, parameter, generator)
            for name, buffer in module.named_buffers(recurse=False):
                if name == "running_mean":
                    buffer.normal_(0.0, 0.1, generator=generator)
                elif name == "running_var":
                    buffer.uniform_(0.5, 1.5, generator=generator)
                elif _is_empty_codebook(module, name, buffer):
                    buffer.normal_(0.0, 1.0, generator=generator)


def _is_empty_codebook(module: torch.nn.Module, name: str, buffer: torch.Tensor) -> bool:
    """Whether a checkpoint would hold vectors here: EnCodec learns its words without gradients, from zeros."""
    is_saved = name not in module._non_persistent_buffers_set
    return is_saved and buffer.ndim > 1 and buffer.is_floating_point() and not buffer.any()


def _redraw(module: torch.nn.Module, name: str, parameter: torch.Tensor, generator: torch.Generator) -> None:
    if name.startswith("log_"):  # an exponent: one too large in the flows of VITS makes an hour of a word
        parameter.normal_(0.0, 0.1, generator=generator)
    elif parameter.ndim > 1:
        fan_in = parameter.shape[0] if isinstance(module, Conv1D) else parameter.numel() // max(parameter.shape[0], 1)
        gain = 2.0 if isinstance(module, _CONVOLUTIONS) else 1.0
        parameter.normal_(0.0, math.sqrt(gain / max(fan_in, 1)), generator=generator)
        if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None:
            parameter[module.padding_idx] = 0.0
    elif name.endswith("bias"):
        parameter.normal_(0.0, 0.1, generator=generator)
    elif parameter.ndim == 1 and (name == "weight" or bool((parameter == parameter[0]).all())):
        level = parameter.mean().item() if abs(parameter.mean().item()) >= 0.1 else 1.0  # noqa: PLR2004
        parameter.uniform_(0.8 * level, 1.2 * level, generator=generator) if level > 0 else None


def _explained(error: Exception, folder: Path) -> tuple[str, str | None]:
    text = _first_line(error)
    if isinstance(error, SafetensorError):
        return f"{folder}: a safetensors file is damaged: {text}", "fetch or save the weights again"
    if isinstance(error, pickle.UnpicklingError):
        forbidden = re.search(r"GLOBAL ([\w.]{1,100})", str(error))
        return (
            f"{folder}: pytorch_model.bin is damaged or holds more than tensors"
            + (f": it names {forbidden[1]}, which was not run" if forbidden else ""),
            "it is read with weights_only; save the weights as safetensors",
        )
    if isinstance(error, ImportError) and (needed := re.search(r"requires the (\w+) library", text)):
        text = text.removesuffix(" You can install it with pip:")
        return f"{folder} could not be loaded: {text}", f"install what the model is made of: pip install {needed[1]}"
    if _reads_pickle(error):
        return f"{folder}: pytorch_model.bin is damaged: {text}", "fetch or save the weights again"
    return f"{folder} could not be loaded: {type(error).__name__}: {text}", None


def _reads_pickle(error: Exception) -> bool:
    """Whether the error comes out of ``torch.load``, which raises anything at all on a damaged file."""
    return any(frame.f_code is torch.load.__code__ for frame, _ in traceback.walk_tb(error.__traceback__))


def _mismatch(folder: Path, keys: Iterable[tuple[str, Any, Any]]) -> tuple[str, str]:
    """Words for ``mismatched_keys`` of transformers: name, shape in the checkpoint, shape in the model."""
    found = [f"{name} is {list(stored)}, not {list(wanted)}" for name, stored, wanted in keys]
    return (
        f"{folder}: the weights have other shapes than config.json says: {listed(found, '; ')}",
        "config.json and the weights belong to different models",
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars and advice of transformers off the terminal; what matters is read from return values."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
