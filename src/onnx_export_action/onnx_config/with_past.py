"""Decoders: one file that takes the cache of keys and values and gives it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

from onnx_export_action.onnx_config.base import OnnxConfig, PatchingSpec
from onnx_export_action.onnx_config.outputs import Axes, batch_axis, name_in_use
from onnx_export_action.onnx_config.shapes import (
    DummyShapes,
    ShapeLimit,
    split_length,
)
from onnx_export_action.onnx_config.tasks import parse_task


class OnnxConfigWithPast(OnnxConfig):
    """How a decoder is exported. With past, one file takes the cache and gives it back; its length may be 0.

    ``use_past`` is set by the argument or by a task that ends in ``-with-past``.
    """

    KEEPS_PAST = True
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
        axes = batch_axis(inputs_or_outputs) | {2: length}
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
        return "present", f"{past} + {name_in_use('sequence_length', self.inputs) or new}"

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
