"""The base classes: what any export needs to know of a model, whatever it reads.

A configuration class says which inputs a file has, which outputs, which of their axes may vary, and makes inputs to
trace and to test with. Three classes divide the work: :class:`OnnxConfig` for models called once,
:class:`OnnxConfigWithPast` for decoders with a cache, :class:`OnnxSeq2SeqConfigWithPast` for encoder-decoders, which
become several files. The names of classes, inputs, outputs and axes are those of optimum-onnx and transformers.onnx.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

from onnx_export_action.onnx_config.dummy_inputs.base import PADDINGS, DummyInputGenerator
from onnx_export_action.onnx_config.dummy_inputs.usual import ALL_GENERATORS
from onnx_export_action.onnx_config.normalized import NormalizedConfig, NormalizedConfigClass
from onnx_export_action.onnx_config.shapes import (
    DEFAULT_DUMMY_SHAPES,
    FOLLOWERS,
    AxesMapping,
    DummyShapes,
    ShapeLimit,
    check_sizes,
    default_sizes,
    limits_from_axes,
    split_length,
)
from onnx_export_action.onnx_config.tasks import parse_task, suggestion
from onnx_export_action.vocabulary.components import ComponentKind
from onnx_export_action.vocabulary.errors import plan_error
from onnx_export_action.vocabulary.opsets import DEFAULT_OPSET

Axes = OrderedDict[str, dict[int, str]]

# Task -> its outputs and which of their axes follow an axis of an input, in the words of AXIS_SOURCES.
TASK_OUTPUTS: dict[str, AxesMapping] = {
    "audio-classification": {"logits": {0: "batch_size"}},
    "audio-frame-classification": {"logits": {0: "batch_size", 1: "sequence_length"}},
    "audio-xvector": {"logits": {0: "batch_size"}, "embeddings": {0: "batch_size"}},
    "automatic-speech-recognition": {"logits": {0: "batch_size", 1: "sequence_length"}},
    "depth-estimation": {"predicted_depth": {0: "batch_size", 1: "output_height", 2: "output_width"}},
    "feature-extraction": {"last_hidden_state": {0: "batch_size", 1: "sequence_length"}},
    "fill-mask": {"logits": {0: "batch_size", 1: "sequence_length"}},
    "image-classification": {"logits": {0: "batch_size"}},
    "image-segmentation": {"logits": {0: "batch_size", 2: "output_height", 3: "output_width"}},
    "image-to-image": {"reconstruction": {0: "batch_size", 2: "output_height", 3: "output_width"}},
    "image-to-text": {"logits": {0: "batch_size", 1: "sequence_length"}},
    "keypoint-detection": {"heatmaps": {0: "batch_size"}},
    "masked-im": {"reconstruction": {0: "batch_size"}},
    "multiple-choice": {"logits": {0: "batch_size", 1: "num_choices"}},
    "object-detection": {"logits": {0: "batch_size"}, "pred_boxes": {0: "batch_size"}},
    "question-answering": {
        "start_logits": {0: "batch_size", 1: "sequence_length"},
        "end_logits": {0: "batch_size", 1: "sequence_length"},
    },
    "semantic-segmentation": {"logits": {0: "batch_size", 2: "output_height", 3: "output_width"}},
    "text-classification": {"logits": {0: "batch_size"}},
    "text-generation": {"logits": {0: "batch_size", 1: "sequence_length"}},
    "text2text-generation": {"logits": {0: "batch_size", 1: "sequence_length"}},
    "time-series-forecasting": {"prediction_outputs": {0: "batch_size"}},
    "token-classification": {"logits": {0: "batch_size", 1: "sequence_length"}},
    "zero-shot-image-classification": {
        "logits_per_image": {0: "image_batch_size", 1: "text_batch_size"},
        "logits_per_text": {0: "text_batch_size", 1: "image_batch_size"},
        "text_embeds": {0: "text_batch_size"},
        "image_embeds": {0: "image_batch_size"},
    },
    "zero-shot-object-detection": {
        "logits": {0: "image_batch_size", 2: "num_queries"},
        "pred_boxes": {0: "image_batch_size"},
        "text_embeds": {0: "image_batch_size", 1: "num_queries"},
        "image_embeds": {0: "image_batch_size"},
    },
}

# The axis of an input that gives an output's axis its size and its name; the first that the file has.
AXIS_SOURCES: dict[str, tuple[tuple[str, int], ...]] = {
    "num_choices": (("input_ids", 1),),
    "sequence_length": (("decoder_input_ids", 1), ("input_ids", 1)),
    "text_batch_size": (("input_ids", 0),),
    "image_batch_size": (("pixel_values", 0),),
}

# Axes of outputs that the model computes from an axis of an input: they vary with it under a name of their own.
COMPUTED_AXES: dict[str, tuple[str, int]] = {
    "feature_height": ("pixel_values", 2),
    "feature_width": ("pixel_values", 3),
    "num_patches": ("pixel_values", 2),
    "num_queries": ("input_ids", 0),
    "output_height": ("pixel_values", 2),
    "output_width": ("pixel_values", 3),
}


@dataclass(frozen=True)
class PatchingSpec:
    """A function that the export replaces: ``o.name`` becomes ``custom_op`` while the model is traced.

    ``orig_op`` is put back afterwards (the attribute's value by default); ``op_wrapper`` wraps either one, as
    ``staticmethod`` would.
    """

    o: Any
    name: str
    custom_op: Callable[..., Any]
    orig_op: Callable[..., Any] | None = None
    op_wrapper: Callable[..., Any] | None = None


class OnnxConfig(ABC):
    """How one model type is exported for one task; subclasses say at least which ``inputs`` it takes.

    Args:
        config: the model's configuration, or any object with its attributes.
        task: the Hub's name of the task, or its legacy feature name (``default``, ``sequence-classification`` ...).
        patching_specs: functions to replace while the export traces the model.

    Raises:
        ExportError: there is no such task, or it asks for a past that this model does not keep.
    """

    NORMALIZED_CONFIG_CLASS: ClassVar[NormalizedConfigClass] = NormalizedConfig
    DUMMY_INPUT_GENERATOR_CLASSES: ClassVar[tuple[type[DummyInputGenerator], ...]] = ALL_GENERATORS
    # Absolute, for all outputs or by output name.
    ATOL_FOR_VALIDATION: ClassVar[float | dict[str, float]] = 1e-4
    DEFAULT_ONNX_OPSET: ClassVar[int] = DEFAULT_OPSET
    # Whether the model has an embedding per position; rotary and relative positions have no such end.
    HAS_ABSOLUTE_POSITIONS: ClassVar[bool] = True
    # Shape arguments that only some models take, besides those of all.
    EXTRA_SHAPE_ARGUMENTS: ClassVar[tuple[str, ...]] = ()
    # Whether the outputs are those of queries (axis 1) that the model chose among candidates by ``torch.topk``.
    CHOOSES_QUERIES: ClassVar[bool] = False
    # Attribute of the model's output -> the ONNX output's name, where they differ.
    torch_to_onnx_output_map: ClassVar[dict[str, str]] = {}

    # One configuration class per file, where the parts of the model are files of their own.
    PARTS: ClassVar[tuple[type[OnnxConfig], ...]] = ()
    # The name of such a part's file.
    FILE_NAME: ClassVar[str] = ""
    # What is special about tracing this model: a file of `traceable.models`, such as "audio.speecht5".
    TRACEABLE: ClassVar[str] = ""
    # The function of that file that the ONNX file computes, where that is not the model's `forward`.
    CALLS: ClassVar[str] = ""
    # Models in folders inside the model's own, which its files are made of as well: folder -> class of transformers.
    INNER_MODELS: ClassVar[dict[str, str]] = {}
    # Outputs that are the same for every input: they belong to the model.
    CONSTANT_OUTPUTS: ClassVar[frozenset[str]] = frozenset()

    kind = ComponentKind.MODEL
    use_past = False

    def __init__(
        self, config: Any, task: str = "feature-extraction", patching_specs: Sequence[PatchingSpec] | None = None
    ) -> None:
        self.task, with_past = parse_task(task)
        if with_past and not isinstance(self, OnnxConfigWithPast):
            raise plan_error(
                f"{type(self).__name__} has no task {task!r}: the model keeps no past", f"use {self.task!r}"
            )
        self.patching_specs = list(patching_specs or ())
        self._config = config
        self._normalized_config = type(self).NORMALIZED_CONFIG_CLASS(config)

    @property
    @abstractmethod
    def inputs(self) -> AxesMapping:
        """Input name -> axis -> name, for every axis that may vary: ``{"input_ids": {0: "batch_size"}}``."""

    @property
    def outputs(self) -> Axes:
        """Output name -> axis -> name. An axis that follows an input's axis carries the name it has there.

        Raises:
            ExportError: the outputs of the task are not known; the class must say them.
        """
        if self.task not in TASK_OUTPUTS:
            raise plan_error(f"{type(self).__name__} does not say the outputs of {self.task!r}", "override `outputs`")
        return OrderedDict((name, self._axes_in_use(axes)) for name, axes in TASK_OUTPUTS[self.task].items())

    @property
    def normalized_config(self) -> NormalizedConfig:
        """The model's configuration under one set of names."""
        return self._normalized_config

    @property
    def default_onnx_opset(self) -> int:
        """The operator set to export with."""
        return self.DEFAULT_ONNX_OPSET

    @property
    def atol_for_validation(self) -> float | dict[str, float]:
        """The absolute tolerance, for all outputs or by output name."""
        return self.ATOL_FOR_VALIDATION

    @property
    def extra_forward_arguments(self) -> dict[str, object]:
        """Constant keyword arguments of the model's call."""
        return {}

    @property
    def part_function(self) -> str:
        """The function of ``TRACEABLE`` that this file computes; none if it is the model's own call."""
        return self.CALLS

    @property
    def optional_inputs(self) -> dict[str, float]:
        """Inputs, float32 numbers, that a caller may leave out, with the value that they have then.

        What a model draws at random is switched by one of them: at the value that dummy inputs give it, nothing is left
        to chance.
        """
        return {}

    @property
    def max_sequence_length(self) -> int | None:
        """How many positions the model has, None if there is no end."""
        return self._normalized_config.get("max_position_embeddings") if self.HAS_ABSOLUTE_POSITIONS else None

    @classmethod
    def component_names(cls, task: str) -> tuple[str, ...]:  # noqa: ARG003 - subclasses need it
        """The names of all files that such a model may become for a task, whatever its own configuration."""
        return tuple(part.FILE_NAME for part in cls.PARTS) or (ComponentKind.MODEL.value,)

    @classmethod
    def belongs_to(cls, normalized_config: NormalizedConfig) -> bool:  # noqa: ARG003 - subclasses need it
        """Whether a model of that configuration has this part, if the class is one of `PARTS` or `FURTHER_PARTS`."""
        return True

    def components(self) -> list[tuple[str, OnnxConfig]]:
        """The files that the model becomes, each with its configuration, in the order of export."""
        if self.PARTS:
            return [(part.FILE_NAME, part(self._config, task=self.task)) for part in self.PARTS]
        return [(self.kind.value, self)]

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """Which sizes the model takes, by shape argument; an argument that is absent takes any from 1."""
        limits = limits_from_axes(self.inputs, self._normalized_config)
        length = self.max_sequence_length
        if length is not None and "input_ids" in self.inputs:
            limits["sequence_length"] = ShapeLimit(1, length, f"the model has {length} positions")
        return limits

    def dummy_shapes(self, **requested: int) -> DummyShapes:
        """The sizes for dummy inputs: the requested ones, else defaults that the model takes.

        Raises:
            ExportError: a name is no shape argument, or the model does not take that size.
        """
        limits = self.shape_limits()
        known = [name for name in DEFAULT_DUMMY_SHAPES if name not in ("text_batch_size", "image_batch_size")]
        check_sizes(requested, [*known, *self.EXTRA_SHAPE_ARGUMENTS], limits)
        sizes = {
            name: requested.get(name, limits.get(name, ShapeLimit()).clip(size))
            for name, size in default_sizes(self.inputs, self._normalized_config).items()
        }
        for follower, leader in FOLLOWERS.items():
            if follower in requested:
                continue
            if leader in requested:
                check_sizes({follower: sizes[leader]}, [follower], limits)
            sizes[follower] = limits.get(follower, ShapeLimit()).clip(sizes[leader])
        return DummyShapes(**sizes)

    def generate_dummy_inputs(
        self, framework: str = "pt", *, seed: int = 0, padding: str = "right", **shapes: int
    ) -> dict[str, Any]:
        """Inputs to trace or to test with, under exactly the names of ``inputs``: int64, float32 or bool.

        Args:
            framework: ``pt`` for torch tensors, ``np`` for numpy arrays.
            seed: a whole number from 0; the same arguments give the same values in any process.
            padding: where rows are padded: ``none``, ``left``, ``right`` or ``mixed``.
            shapes: sizes by name, see :class:`DummyShapes`; those that this model does not have are ignored.

        Raises:
            ExportError: an argument is wrong, or no generator makes one of the inputs.
        """
        if padding not in PADDINGS:
            raise plan_error(f"unknown padding {padding!r}", hint=suggestion(padding, PADDINGS, "paddings"))
        names = list(self.inputs)
        sizes = asdict(self.dummy_shapes(**shapes))
        generators = [
            generator(self.task, self._normalized_config, padding=padding, seed=seed, input_names=names, **sizes)
            for generator in self.DUMMY_INPUT_GENERATOR_CLASSES
        ]
        return {name: self._generator_of(name, generators).generate(name, framework=framework) for name in names}

    def _generator_of(self, name: str, generators: Sequence[DummyInputGenerator]) -> DummyInputGenerator:
        for generator in generators:
            if generator.supports_input(name):
                return generator
        raise plan_error(
            f"{type(self).__name__} has an input {name!r} that no dummy input generator makes",
            hint="add a DummyInputGenerator with that name in SUPPORTED_INPUT_NAMES to DUMMY_INPUT_GENERATOR_CLASSES",
        )

    def _axes_in_use(self, axes: Mapping[int, str]) -> dict[int, str]:
        """The axes of an output that can vary because the input axis they follow can, under the name used there."""
        names = {axis: self._name_in_use(word) for axis, word in axes.items()}
        return {axis: name for axis, name in names.items() if name is not None}

    def _name_in_use(self, word: str) -> str | None:
        inputs = self.inputs
        if word in COMPUTED_AXES:
            source, axis = COMPUTED_AXES[word]
            return word if axis in inputs.get(source, {}) else None
        if word == "batch_size":
            first: Mapping[int, str] = next(iter(inputs.values()), {})
            return first.get(0)
        return next((inputs[name].get(axis) for name, axis in AXIS_SOURCES[word] if name in inputs), None)


class OnnxConfigWithPast(OnnxConfig):
    """How a decoder is exported. With past, one file takes the cache and gives it back; its length may be 0.

    ``use_past`` is set by the argument or by a task that ends in ``-with-past``.
    """

    # Whether the past is kept although no task says so.
    ALWAYS_WITH_PAST: ClassVar[bool] = False
    # The shape argument that says how many tokens follow the past.
    NEW_LENGTH_ARGUMENT: ClassVar[str] = "sequence_length"

    def __init__(
        self,
        config: Any,
        task: str = "feature-extraction",
        patching_specs: Sequence[PatchingSpec] | None = None,
        use_past: bool = False,
    ) -> None:
        super().__init__(config, task=task, patching_specs=patching_specs)
        self.use_past = use_past or self.ALWAYS_WITH_PAST or parse_task(task)[1]

    @classmethod
    def with_past(
        cls, config: Any, task: str = "feature-extraction", patching_specs: Sequence[PatchingSpec] | None = None
    ) -> Self:
        """The configuration of the same task with past keys and values."""
        return cls(config, task=task, patching_specs=patching_specs, use_past=True)

    @property
    def outputs(self) -> Axes:
        """The task's outputs and, with past, ``present.N.key`` and ``present.N.value``."""
        outputs = super().outputs
        if self.use_past:
            self.add_past_key_values(outputs, direction="outputs")
        return outputs

    @property
    def takes_past(self) -> bool:
        """Whether this file has the past among its inputs."""
        return self.use_past

    @property
    def num_cached_layers(self) -> int:
        """How many layers keep keys and values."""
        return int(self._normalized_config.num_layers)

    def add_past_key_values(self, inputs_or_outputs: dict[str, dict[int, str]], direction: str) -> None:
        """Add the cache to a mapping of inputs (``past_key_values.N.key``) or of outputs (``present.N.key``).

        Each has the shape (batch, heads, length, size of a head). ``direction`` is ``inputs`` or ``outputs``.

        Raises:
            ValueError: the direction is neither.
        """
        prefix, length = self._cache_words(direction, "past_sequence_length", "sequence_length")
        axes = _batch_axis(inputs_or_outputs) | {2: length}
        for layer in range(self.num_cached_layers):
            inputs_or_outputs[f"{prefix}.{layer}.key"] = dict(axes)
            inputs_or_outputs[f"{prefix}.{layer}.value"] = dict(axes)

    def _cache_words(self, direction: str, past: str, new: str) -> tuple[str, str]:
        """Name prefix of the cache, and name of its length."""
        if direction == "inputs":
            return "past_key_values", past
        if direction != "outputs":
            message = f"direction must be 'inputs' or 'outputs', not {direction!r}"
            raise ValueError(message)
        return "present", f"{past} + {self._name_in_use('sequence_length') or new}"

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """As the base class says; the past may be empty and leaves room for a new token."""
        limits = super().shape_limits()
        length = self.max_sequence_length
        if length is not None and self.takes_past:
            limits["past_sequence_length"] = ShapeLimit(0, length - 1, f"the model has {length} positions")
        return limits

    def dummy_shapes(self, **requested: int) -> DummyShapes:
        """As the base class does; past and new tokens together fit the model's positions."""
        shapes = super().dummy_shapes(**requested)
        if not self.takes_past:
            return shapes
        new, past = split_length(
            requested.get(self.NEW_LENGTH_ARGUMENT, requested.get("sequence_length")),
            requested.get("past_sequence_length"),
            self.max_sequence_length,
        )
        return replace(shapes, **{self.NEW_LENGTH_ARGUMENT: new, "past_sequence_length": past})


class OnnxSeq2SeqConfigWithPast(OnnxConfigWithPast):
    """How an encoder-decoder is exported: subclasses say what the encoder takes, the decoder's files follow from it.

    A task that generates becomes an encoder and a decoder; with past also a second decoder that takes the cache.
    Other tasks are one file. Within a file of its own the decoder's ids are called ``input_ids``.
    """

    SPLIT_TASKS: ClassVar[frozenset[str]] = frozenset(
        {"automatic-speech-recognition", "image-to-text", "text-to-audio", "text2text-generation"}
    )
    NEW_LENGTH_ARGUMENT = "decoder_sequence_length"
    # Whether the encoder is a file of its own kind; where it is not, one of FURTHER_PARTS stands for it.
    HAS_ENCODER_FILE: ClassVar[bool] = True
    # One configuration class per file beside the encoder and the decoders.
    FURTHER_PARTS: ClassVar[tuple[type[OnnxConfig], ...]] = ()
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
            inputs["decoder_input_ids"] = _batch_axis(inputs) | {1: "decoder_sequence_length"}
        return inputs

    @property
    def decoder_inputs(self) -> Axes:
        """The inputs of a decoder's file: the encoder's states, or the cache that was computed from them."""
        batch = _batch_axis(self.encoder_inputs)
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
    def is_decoder_only(self) -> bool:
        """Whether the task loads the decoder without the encoder, as text generation does."""
        return self.task == "text-generation"

    @property
    def num_cached_layers(self) -> int:
        """How many layers of the decoder keep keys and values."""
        return int(self._normalized_config.decoder_num_layers)

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
        batch = _batch_axis(inputs_or_outputs)
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


def _batch_axis(so_far: AxesMapping) -> dict[int, str]:
    """The batch axis as the mapping's first entry has it, so that one file names it one way."""
    first: Mapping[int, str] = next(iter(so_far.values()), {0: "batch_size"})
    return {0: first[0]} if 0 in first else {}
