"""Whether a checkpoint fits the model that was loaded from it: what of it the model did not take.

transformers drops tensors that a model has no place for, and casts whatever it is given to the parameter's type: the
scales of quantised weights, biases and adapters are lost without a word, and the model computes something else.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.auto import modeling_auto

from onnx_export_action.loading.loaded_names import LoadedNames
from onnx_export_action.loading.tensors import TensorFiles
from onnx_export_action.project.checkpoint_tensors import (
    SCALED_FORMATS,
    WHOLE_FORMATS,
    TensorKind,
    kind_of,
    listed,
)
from onnx_export_action.vocabulary.errors import ExportError, load_error

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")
# Buffers that older versions saved and newer ones compute: transformers (5.0 to 5.23) itself passes over them where the
# model has one of the name.
_COMPUTED = {"rotary_emb.inv_freq": r"rotary_emb\.inv_freq", "position_ids": r"(^|\.)position_ids$"}
# What training counts, and profilers leave behind.
_COUNTS = frozenset({"num_batches_tracked", "total_ops", "total_params"})
# How many layers a decoder keeps beyond its last, to predict further tokens.
_FURTHER_LAYERS = ("num_nextn_predict_layers", "num_mtp_modules", "mtp_num_hidden_layers")


@dataclass(frozen=True)
class Fit:
    """A loaded model beside its checkpoint, and what loading said was unexpected and missing, by the model's names.

    A ``quantised`` model knows of its scales.
    """

    model: Any
    tensors: TensorFiles
    unexpected: Collection[str]
    missing: Collection[str]
    quantised: bool = False

    @cached_property
    def _names(self) -> LoadedNames:
        return LoadedNames(self.model, self.missing)

    def misfit(self, folder: Path) -> ExportError | None:
        """Why the model computes something else than its checkpoint was made for; None where nothing says so."""
        return self._cast(folder) or self._given_twice(folder) or self._without_place(folder) or self._too_many(folder)

    def notes(self) -> list[str]:
        """What of the checkpoint is not used, in words."""
        unused = {*self.unexpected, *self._ignored}
        if not unused:
            return []
        tensors = "1 tensor" if len(unused) == 1 else f"{len(unused)} tensors"
        return [f"the model does not use {tensors} of the checkpoint: {listed(unused)}"]

    @cached_property
    def _ignored(self) -> set[str]:
        """TensorFiles that the model's class itself says it has no use for: transformers does not report them."""
        patterns = [*(getattr(self.model, "_keys_to_ignore_on_load_unexpected", None) or ())]
        buffers = [name for name, _ in self.model.named_buffers()]
        patterns += [pattern for ending, pattern in _COMPUTED.items() if any(name.endswith(ending) for name in buffers)]
        if not patterns:
            return set()
        matches = re.compile("|".join(f"(?:{pattern})" for pattern in patterns)).search
        return {name for name in self.tensors.formats if matches(name) and self._names.own_name(name) is None}

    def _cast(self, folder: Path) -> ExportError | None:
        """Whole or scaled numbers where the model computes with floats, and nothing that says how to read them."""
        if self.quantised:
            return None
        unused = {spelling for name in self.unexpected for spelling in self._names.spellings(name)} | self._ignored
        whole = {
            name.rpartition(".")[2] for name, tensor in self._names.expected.items() if not tensor.is_floating_point()
        }
        found = {
            name: number_format
            for name, number_format in self.tensors.formats.items()
            if number_format in WHOLE_FORMATS | SCALED_FORMATS
            and name not in unused
            and not self._is_whole(name, whole)
        }
        if not found:
            return None
        stored = ", ".join(sorted(set(found.values())))
        return load_error(
            f"{folder}: {listed(found)}: stored as {stored}, which the model would take for float32 without a scale",
            "restore the `quantization_config` of config.json, or save the weights as floats",
        )

    def _is_whole(self, name: str, whole: Collection[str]) -> bool:
        own = self._names.own_name(name)
        if own is not None:
            return not self._names.expected[own].is_floating_point()
        return name.rpartition(".")[2] in whole  # under another name since, such as that of a batch norm's counter

    def _given_twice(self, folder: Path) -> ExportError | None:
        """Two tensors for one parameter, with and without the base model's name: one of them is lost."""
        owners: dict[str, list[str]] = {}
        for name in self.tensors.formats:
            own = self._names.own_name(re.sub(r"LayerNorm\.(gamma|beta)$", _new_layer_norm, name))
            if own is not None:
                owners.setdefault(own, []).append(name)
        twice = [name for names in owners.values() if len(names) > 1 for name in names]
        if not twice:
            return None
        return load_error(
            f"{folder}: the checkpoint holds two tensors for one parameter: {listed(twice)}", "save the weights again"
        )

    def _without_place(self, folder: Path) -> ExportError | None:
        """TensorFiles that belong to a layer which is loaded, but which the layer has no place for."""
        siblings = [
            name for name in self._foreign if self._names.has_loaded_layer(name) and not self._is_harmless(name)
        ]
        if not siblings:
            return None
        kinds = {kind_of(name) for name in siblings}
        start = f"{folder}: the checkpoint holds what the loaded layers have no place for: {listed(siblings)}"
        if TensorKind.ADAPTER in kinds:
            return load_error(f"{start}: an adapter that is not merged", "merge it (`merge_and_unload`) and save again")
        if TensorKind.SCALE in kinds:
            hint = "restore the `quantization_config` of config.json, or save the weights as floats"
            return load_error(f"{start}: the weights are quantised and config.json does not say how", hint)
        return load_error(
            f"{start}: the model would be computed without them",
            "config.json is not the one of these weights, or lacks an option such as `attention_bias`",
        )

    def _is_harmless(self, name: str) -> bool:
        """Whether a tensor would change nothing: a count, a buffer that the model computes, zeros, a copy."""
        leaf = name.rpartition(".")[2]
        if leaf in _COUNTS or any(spelling in self._names.buffers for spelling in self._names.spellings(name)):
            return True
        tensor = self.tensors.read(name)
        if tensor is None:
            return False
        if leaf == "bias" and not tensor.any():
            return True
        same = (
            other for other in self.tensors.alike(name) if other != name and self._names.own_name(other) is not None
        )
        return any(torch.equal(tensor, self.tensors.read(other)) for other in same)

    def _too_many(self, folder: Path) -> ExportError | None:
        """Layers beyond those that config.json builds."""
        stacks: dict[str, set[int]] = {}
        for name in self._names.expected:
            for stack, number in _numbered(name):
                stacks.setdefault(stack, set()).add(number)
        further = sum(value for key in _FURTHER_LAYERS if isinstance(value := self._setting(key), int))
        beyond = {
            name: len(stacks[stack])
            for name in self._foreign
            for spelling in self._names.spellings(name)
            for stack, number in _numbered(spelling)
            if stack in stacks and number >= len(stacks[stack]) + further
        }
        if not beyond:
            return None
        return load_error(
            f"{folder}: the checkpoint has layers beyond the {min(beyond.values())} that config.json builds: "
            f"{listed(beyond)}",
            "config.json and the weights belong to different models",
        )

    def _setting(self, key: str) -> Any:
        return getattr(getattr(self.model, "config", None), key, None)

    @cached_property
    def _foreign(self) -> set[str]:
        """Unexpected tensors that no class of this model type has a place for: those of another head are none."""
        left = set(self.unexpected)
        if not any(self._names.has_loaded_layer(name) or _NUMBER.search(name) for name in left):
            return left
        for names in _parameters_of_other_classes(self.model):
            left = {name for name in left if not names & set(self._names.spellings(name))}
        return left


def _new_layer_norm(match: re.Match[str]) -> str:
    return "LayerNorm.weight" if match[1] == "gamma" else "LayerNorm.bias"


def _numbered(name: str) -> Iterator[tuple[str, int]]:
    """A name with ``*`` for one of its numbers, and that number; for each of them."""
    for match in _NUMBER.finditer(name):
        yield f"{name[: match.start()]}*{name[match.end() :]}", int(match[0])


def _parameters_of_other_classes(model: Any) -> Iterator[set[str]]:
    """The parameters' names of the classes of transformers for a model's type, the one it was saved as first.

    They are built without memory for their weights; one that cannot be is passed over.
    """
    config = getattr(model, "config", None)
    named = [*(getattr(config, "architectures", None) or ())]
    for name in modeling_auto.__all__:
        mapping = getattr(getattr(transformers, name, None), "_model_mapping", None)
        if mapping is not None and type(config) in mapping:
            classes = mapping[type(config)]
            named += [one.__name__ for one in (classes if isinstance(classes, tuple) else (classes,))]
    for name in dict.fromkeys(named):
        model_class = getattr(transformers, str(name), None)
        if model_class is None or model_class is type(model):
            continue
        try:
            with torch.device("meta"):
                other = model_class(config)
        except Exception:  # noqa: S112 - a class of another kind of model raises whatever its constructor raises
            continue
        yield set(other.state_dict())
