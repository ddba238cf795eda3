"""The inputs of a model: their names and axes, the sizes that they take, and made-up values for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import Any, ClassVar

from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator, generator_of, require_padding
from onnx_export_action.onnx_config.dummy_inputs.usual import ALL_GENERATORS
from onnx_export_action.onnx_config.normalized import NormalizedConfig, NormalizedConfigClass
from onnx_export_action.onnx_config.shapes import (
    AxesMapping,
    DummyShapes,
    ShapeLimit,
    chosen_shapes,
    default_sizes,
    limits_from_axes,
)


class ModelInputs(ABC):
    """What a configuration class says of inputs, and what follows from that."""

    NORMALIZED_CONFIG_CLASS: ClassVar[NormalizedConfigClass] = NormalizedConfig
    DUMMY_INPUT_GENERATOR_CLASSES: ClassVar[tuple[type[DummyInputGenerator], ...]] = ALL_GENERATORS
    # Whether the model has an embedding per position; rotary and relative positions have no such end.
    HAS_ABSOLUTE_POSITIONS: ClassVar[bool] = True
    # Shape arguments that only some models take, besides those of all.
    EXTRA_SHAPE_ARGUMENTS: ClassVar[tuple[str, ...]] = ()

    task: str
    _normalized_config: NormalizedConfig

    @property
    @abstractmethod
    def inputs(self) -> AxesMapping:
        """Input name -> axis -> name, for every axis that may vary: ``{"input_ids": {0: "batch_size"}}``."""

    @property
    def normalized_config(self) -> NormalizedConfig:
        """The model's configuration under one set of names."""
        return self._normalized_config

    @property
    def max_sequence_length(self) -> int | None:
        """How many positions the model has, None if there is no end."""
        return self._normalized_config.get("max_position_embeddings") if self.HAS_ABSOLUTE_POSITIONS else None

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
        defaults = default_sizes(self.inputs, self._normalized_config)
        return chosen_shapes(requested, defaults, self.shape_limits(), self.EXTRA_SHAPE_ARGUMENTS)

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
        require_padding(padding)
        names = list(self.inputs)
        sizes = asdict(self.dummy_shapes(**shapes))
        generators = [
            generator(self.task, self._normalized_config, padding=padding, seed=seed, input_names=names, **sizes)
            for generator in self.DUMMY_INPUT_GENERATOR_CLASSES
        ]
        owner = type(self).__name__
        return {name: generator_of(name, generators, owner).generate(name, framework=framework) for name in names}
