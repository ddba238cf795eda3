"""What one case is: sizes, padding, a seed, and the inputs that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.proving.arrays import Arrays
from onnx_export_action.proving.cases.meanings import with_meaning
from onnx_export_action.proving.records import CaseOrigin, Meaning
from onnx_export_action.vocabulary.results import Padding


@dataclass(frozen=True)
class CaseSpec:
    """One case: arguments of ``generate_dummy_inputs``; ``varied`` names the one that departs from the base.

    An ``is_extra`` case that PyTorch itself does not take is passed over. PyTorch is not given the input ``left_out``,
    and the file is given the values that it has then.
    """

    id: str
    padding: Padding
    seed: int
    shapes: dict[str, int] = field(default_factory=dict)
    varied: str | None = None
    is_extra: bool = False
    left_out: str | None = None
    origin: CaseOrigin = CaseOrigin.GRID
    meaning: Meaning | None = None

    def arrays(self, onnx_config: OnnxConfig) -> Arrays:
        """Inputs by ONNX name; the same in any process."""
        padding = Padding.RIGHT if self.padding is Padding.EMPTY_ROW else self.padding
        arrays = onnx_config.generate_dummy_inputs("np", seed=self.seed, padding=padding, **self.shapes)
        if self.padding is Padding.EMPTY_ROW:
            arrays["attention_mask"] = arrays["attention_mask"].copy()
            arrays["attention_mask"][-1] = 0
        if self.left_out is not None:
            arrays[self.left_out] = _usual_values(self.left_out, arrays)
        return arrays if self.meaning is None else with_meaning(self.meaning, arrays, onnx_config, self.seed)


# A case, its inputs, and the texts that they come from.
GivenCase = tuple[CaseSpec, Arrays, list[str]]


def _usual_values(name: str, arrays: Arrays) -> np.ndarray[Any, Any]:
    """One segment for all tokens; positions that count on from the past."""
    if name != "position_ids":
        return np.zeros_like(arrays[name])
    length = arrays[name].shape[-1]
    past = arrays["attention_mask"].shape[-1] - length if "attention_mask" in arrays else 0
    return np.broadcast_to(np.arange(past, past + length), arrays[name].shape).copy()


def axis_sizes(axes: Mapping[str, Mapping[int, str]], arrays: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, int]:
    """Size of every named axis in these arrays."""
    return {
        name: int(arrays[tensor].shape[axis])
        for tensor, named in axes.items()
        if tensor in arrays
        for axis, name in named.items()
    }
