"""Encoder-decoders: one file, or an encoder and decoders that follow from what the encoder takes."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections import OrderedDict
from dataclasses import replace
from typing import Any, ClassVar, Self

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.outputs import TASK_OUTPUTS, Axes, batch_axis
from onnx_export_action.onnx_config.shapes import (
    DummyShapes,
    ShapeLimit,
)
from onnx_export_action.onnx_config.tasks import parse_task
from onnx_export_action.onnx_config.with_past import OnnxConfigWithPast
from onnx_export_action.vocabulary.names.components import ComponentKind


class EncoderDecoderFiles(OnnxConfigWithPast):
    """Which files an encoder-decoder becomes for a task, and the configuration of each."""

    SPLIT_TASKS: ClassVar[frozenset[str]] = frozenset(
        {"automatic-speech-recognition", "image-to-text", "text-to-audio", "text2text-generation"}
    )
    # Whether the encoder is a file of its own kind; where it is not, one of FURTHER_PARTS stands for it.
    HAS_ENCODER_FILE: ClassVar[bool] = True
    # One configuration class per file beside the encoder and the decoders.
    FURTHER_PARTS: ClassVar[tuple[type[OnnxConfig], ...]] = ()

    @property
    def is_decoder_only(self) -> bool:
        """Whether the task loads the decoder without the encoder, as text generation does."""
        return self.task == "text-generation"

    @classmethod
    def component_names(cls, task: str) -> tuple[str, ...]:
        """As the base class says; of a task that generates those of `components`."""
        stem, with_past = parse_task(task)
        with_past = with_past or cls.ALWAYS_WITH_PAST
        if not cls._is_split(stem, with_past):
            return super().component_names(task)
        kinds = cls._kinds_of_files(with_past)
        return (*(kind.value for kind in kinds), *(part.FILE_NAME for part in cls.FURTHER_PARTS))

    def components(self) -> list[tuple[str, OnnxConfig]]:
        """The encoder, the decoder and, with past, the decoder that takes the cache, and what else there is; or one."""
        if self.kind is not ComponentKind.MODEL or not self._is_split(self.task, self.use_past):
            return super().components()
        parts = [(kind.value, self._of_kind(kind)) for kind in self._kinds_of_files(self.use_past)]
        further = [part for part in self.FURTHER_PARTS if part.belongs_to(self._normalized_config)]
        return [*parts, *((part.FILE_NAME, part(self._config, task=self.task)) for part in further)]

    @classmethod
    def _is_split(cls, task: str, with_past: bool) -> bool:
        return task in cls.SPLIT_TASKS or (with_past and task != "text-generation")

    @classmethod
    def _kinds_of_files(cls, with_past: bool) -> list[ComponentKind]:
        encoder = [ComponentKind.ENCODER] if cls.HAS_ENCODER_FILE else []
        return [*encoder, ComponentKind.DECODER, *([ComponentKind.DECODER_WITH_PAST] if with_past else [])]

    def _of_kind(self, kind: ComponentKind) -> OnnxConfig:
        if kind is ComponentKind.ENCODER:
            return self.get_encoder_onnx_config(self._config)
        takes_past = kind is ComponentKind.DECODER_WITH_PAST
        return self.get_decoder_onnx_config(self._config, self.task, use_past=takes_past)

    def get_encoder_onnx_config(self, config: Any) -> OnnxConfig:
        """The configuration of the encoder's file, which gives ``last_hidden_state``."""
        part = self._part(config, ComponentKind.ENCODER)
        part.task, part.use_past = "feature-extraction", False
        return part

    def get_decoder_onnx_config(
        self, config: Any, task: str = "feature-extraction", use_past: bool = False
    ) -> OnnxConfig:
        """The configuration of a decoder's file.

        With ``use_past`` it takes the cache, otherwise the encoder's states: the first step of generation. Both give
        the cache back if this configuration is one with past.
        """
        part = self._part(config, ComponentKind.DECODER_WITH_PAST if use_past else ComponentKind.DECODER)
        part.task, _ = parse_task(task)
        part.use_past = self.use_past or use_past
        return part

    def _part(self, config: Any, kind: ComponentKind) -> Self:
        part = copy.copy(self)
        part.kind = kind
        if config is not self._config:
            part._config = config
            part._normalized_config = type(self).NORMALIZED_CONFIG_CLASS(config)
        return part


class OnnxSeq2SeqConfigWithPast(EncoderDecoderFiles):
    """How an encoder-decoder is exported: subclasses say what the encoder takes, the decoder's files follow from it.

    A task that generates becomes an encoder and a decoder; with past also a second decoder that takes the cache.
    Other tasks are one file. Within a file of its own the decoder's ids are called ``input_ids``.
    """

    NEW_LENGTH_ARGUMENT = "decoder_sequence_length"
    # As CALLS, for the decoder's files.
    DECODER_CALLS: ClassVar[str] = ""

    @property
    def part_function(self) -> str:
        """As the base class says; a decoder's file has its own."""
        in_decoder = self.kind in (ComponentKind.DECODER, ComponentKind.DECODER_WITH_PAST)
        return self.DECODER_CALLS if in_decoder else super().part_function

    @property
    @abstractmethod
    def encoder_inputs(self) -> Axes:
        """What the encoder takes, as ``inputs`` says it."""

    @property
    def encoder_outputs(self) -> Axes:
        """What the encoder gives."""
        return OrderedDict(
            {"last_hidden_state": self._axes_in_use(TASK_OUTPUTS["feature-extraction"]["last_hidden_state"])}
        )

    @property
    def inputs(self) -> Axes:
        """The inputs of this file: the encoder, a decoder, or both in one."""
        if self.kind is ComponentKind.ENCODER:
            return self.encoder_inputs
        if self.kind is ComponentKind.MODEL:
            return self.model_inputs
        return self.decoder_inputs

    @property
    def model_inputs(self) -> Axes:
        """The inputs of one file: the decoder has its own where the task is not about a single input."""
        inputs = OrderedDict(self.encoder_inputs)
        if self.task in (*self.SPLIT_TASKS, "feature-extraction"):
            inputs["decoder_input_ids"] = batch_axis(inputs) | {1: "decoder_sequence_length"}
        return inputs

    @property
    def decoder_inputs(self) -> Axes:
        """The inputs of a decoder's file: the encoder's states, or the cache that was computed from them."""
        batch = batch_axis(self.encoder_inputs)
        encoded = batch | {1: "encoder_sequence_length"}
        inputs: Axes = OrderedDict({"input_ids": batch | {1: "decoder_sequence_length"}})
        if not self.takes_past:
            inputs["encoder_hidden_states"] = dict(encoded)
        if "attention_mask" in self.encoder_inputs:
            inputs["encoder_attention_mask"] = dict(self.encoder_inputs["attention_mask"])
        if self.takes_past:
            self.add_past_key_values(inputs, direction="inputs")
        return inputs

    @property
    def outputs(self) -> Axes:
        """The outputs of this file; a decoder for generation with past also gives the cache."""
        return self.encoder_outputs if self.kind is ComponentKind.ENCODER else super().outputs

    @property
    def takes_past(self) -> bool:
        """Whether this file has the past among its inputs."""
        return self.use_past and (self.is_decoder_only or self.kind is ComponentKind.DECODER_WITH_PAST)

    @property
    def reads_as_decoder(self) -> bool:
        """Whether ``input_ids`` of this file are the decoder's."""
        return self.is_decoder_only or self.kind in (ComponentKind.DECODER, ComponentKind.DECODER_WITH_PAST)

    @property
    def num_cached_layers(self) -> int:
        """How many layers of the decoder keep keys and values."""
        return int(self._normalized_config.decoder_num_layers)

    def add_past_key_values(self, inputs_or_outputs: dict[str, dict[int, str]], direction: str) -> None:
        """Add the caches of self-attention (``decoder``) and of cross-attention (``encoder``).

        The latter never changes, so a decoder that takes it does not give it back.

        Raises:
            ValueError: the direction is neither ``inputs`` nor ``outputs``.
        """
        if self.is_decoder_only:
            super().add_past_key_values(inputs_or_outputs, direction)
            return
        prefix, length = self._cache_words(direction, "past_decoder_sequence_length", "decoder_sequence_length")
        batch = batch_axis(inputs_or_outputs)
        lengths = {"decoder": length}
        if direction == "inputs" or not self.takes_past:
            lengths["encoder"] = "encoder_sequence_length"
        for layer in range(self.num_cached_layers):
            for side, name in lengths.items():
                inputs_or_outputs[f"{prefix}.{layer}.{side}.key"] = batch | {2: name}
                inputs_or_outputs[f"{prefix}.{layer}.{side}.value"] = batch | {2: name}

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """As the base class says, for the lengths of the encoder and of the decoder each."""
        limits = super().shape_limits()
        limits.pop("sequence_length", None)
        length = self.max_sequence_length
        if length is None:
            return limits
        limit = ShapeLimit(1, length, f"the model has {length} positions")
        if self.kind is not ComponentKind.ENCODER:
            limits["decoder_sequence_length"] = limit
        if not self.reads_as_decoder and "input_ids" in self.encoder_inputs:
            limits["encoder_sequence_length"] = limit
        return limits

    def dummy_shapes(self, **requested: int) -> DummyShapes:
        """As the base class does; ``sequence_length`` then is the length of what this file calls ``input_ids``."""
        shapes = super().dummy_shapes(**requested)
        length = shapes.decoder_sequence_length if self.reads_as_decoder else shapes.encoder_sequence_length
        return replace(shapes, sequence_length=length)
