"""The configuration of a model type without a class of its own: what a run of the model showed.

``export.inference`` finds the facts, which takes the model itself; this class holds them, so that the export and the
validation treat the model as any other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.dummy_inputs.audio import (
    DummyFixedSpectrogramGenerator,
    DummyFramesFirstGenerator,
)
from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator
from onnx_export_action.onnx_config.dummy_inputs.series import DummyTimeSeriesGenerator
from onnx_export_action.onnx_config.dummy_inputs.text import DummyBoxGenerator, DummyImagePromptGenerator
from onnx_export_action.onnx_config.dummy_inputs.usual import ALL_GENERATORS
from onnx_export_action.onnx_config.dummy_inputs.vision import DummyVideoGenerator
from onnx_export_action.onnx_config.normalized import NormalizedTextAndVisionConfig
from onnx_export_action.onnx_config.outputs import Axes
from onnx_export_action.onnx_config.shapes import AxesMapping, DummyShapes, ShapeLimit

# The inputs that dummy values can be made for, the model's own first choice apart: what a call is about ...
SUBJECTS = ("input_ids", "pixel_values", "pixel_values_videos", "input_values", "input_features", "past_values")
# ... and what may go with it.
COMPANIONS = ("attention_mask", "decoder_input_ids", "bbox")

GENERATORS: tuple[type[DummyInputGenerator], ...] = (*ALL_GENERATORS, DummyBoxGenerator, DummyTimeSeriesGenerator)
# Tried in this order: what is special comes first, as it makes nothing for a model that is not.
GENERATOR_SETS: tuple[tuple[type[DummyInputGenerator], ...], ...] = (
    (DummyImagePromptGenerator, *GENERATORS),
    (DummyVideoGenerator, *GENERATORS),
    GENERATORS,
    (DummyFramesFirstGenerator, *GENERATORS),
    (DummyFixedSpectrogramGenerator, *GENERATORS),
)


class NormalizedAnyConfig(NormalizedTextAndVisionConfig):
    """Names of any model: the whole configuration's, else those of a part that has them."""

    def _derived(self, name: str) -> Any:
        # Models of characters hash them and have no vocabulary.
        return self.get("num_hash_buckets") if name == "vocab_size" else super()._derived(name)

    def _roots(self, name: str) -> list[Any]:
        parts = [getattr(self.config, part, None) for part in getattr(type(self.config), "sub_configs", {})]
        own = super()._roots(name)
        return [*own, *(part for part in parts if part is not None and all(part is not root for root in own))]


@dataclass(frozen=True)
class Facts:
    """What is known of a model: the inputs and outputs of one file with the axes that vary, and the sizes it takes.

    ``constants`` are arguments of every call, whole numbers in lists, that the file holds fixed; inputs are made in
    ``sizes`` unless others are asked for.
    """

    inputs: AxesMapping
    outputs: AxesMapping = field(default_factory=dict)
    limits: Mapping[str, ShapeLimit] = field(default_factory=dict)
    generators: Sequence[type[DummyInputGenerator]] = GENERATORS
    constants: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)


class InferredOnnxConfig(OnnxConfig):
    """One file of any model, as :class:`Facts` say."""

    NORMALIZED_CONFIG_CLASS = NormalizedAnyConfig

    def __init__(self, config: Any, task: str, facts: Facts) -> None:
        super().__init__(config, task=task)
        self._facts = facts
        self.DUMMY_INPUT_GENERATOR_CLASSES = tuple(facts.generators)  # type: ignore[misc] # the only class whose objects differ

    @property
    def inputs(self) -> AxesMapping:
        """The inputs with which the model ran."""
        return self._facts.inputs

    @property
    def outputs(self) -> Axes:
        """The outputs that the model gave, and the axes that moved with those of inputs."""
        return OrderedDict((name, dict(axes)) for name, axes in self._facts.outputs.items())

    @property
    def extra_forward_arguments(self) -> dict[str, object]:
        """The arguments that are the same in every call, as int64 tensors."""
        import torch

        return {name: torch.tensor(value, dtype=torch.int64) for name, value in self._facts.constants.items()}

    @property
    def fixed_arguments(self) -> tuple[str, ...]:
        """The names of those arguments."""
        return tuple(self._facts.constants)

    def dummy_shapes(self, **requested: int) -> DummyShapes:
        """As the base class does, with the model's own sizes before the usual ones."""
        return super().dummy_shapes(**{**self._facts.sizes, **requested})

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """The sizes that the model took."""
        return dict(self._facts.limits)
