"""Which numbers of an output count: no padding, and nothing that the model rules out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnx_export_action.proving.arrays import Array

# Below the first where others are above it; below the second in any case.
_RULED_OUT, _LOWEST = -1e5, -1e30


def valid_positions(
    inputs: Mapping[str, Array], output: Array, axes: Mapping[int, str], input_axes: Mapping[str, Mapping[int, str]]
) -> Array | None:
    """Boolean array that broadcasts to ``output``, False at padded positions; None when nothing is padded.

    An output's axis belongs to a mask when both carry the same name; the last positions of a mask over past and new
    tokens belong to an axis of new tokens alone. A row that a mask rules out whole (of a multiple choice: an answer
    without a token) is padding in every output.
    """
    for name, mask in inputs.items():
        if not name.endswith("attention_mask") or mask.ndim < 2 or mask.all():  # noqa: PLR2004 - (batch, ..., length)
            continue
        *rows, length = range(mask.ndim)
        names = input_axes.get(name, {})
        places = {axis_name: axis for axis, axis_name in axes.items()}
        if length not in names or any(names.get(row) not in places for row in rows):
            continue
        leading = [places[names[row]] for row in rows]
        for axis, axis_name in axes.items():
            if (
                leading != rows
                or axis in rows
                or axis_name not in (names[length], names[length].split("+")[-1].strip())
            ):
                continue
            valid = mask[..., -output.shape[axis] :] != 0
            if valid.shape == (*output.shape[:length], output.shape[axis]):
                shape = [1] * output.ndim
                shape[:length], shape[axis] = output.shape[:length], output.shape[axis]
                return valid.reshape(shape)
        real_rows = np.asarray(mask.any(axis=-1))
        if (
            leading == sorted(leading)
            and not real_rows.all()
            and [output.shape[axis] for axis in leading] == list(real_rows.shape)
        ):
            shape = [1] * output.ndim
            for axis in leading:
                shape[axis] = output.shape[axis]
            return real_rows.reshape(shape)
    return None


def ordinary_numbers(array: Array) -> Array:
    """Finite elements that the model did not rule out with a large negative number, as a boolean array.

    BigBird subtracts 1e6 from the logits of a question's tokens, OWL-ViT gives texts that are padding the lowest
    number there is: the scale of an output is that of the others.
    """
    chosen: Array = np.isfinite(array) & (array > _LOWEST)
    above = chosen & (array > _RULED_OUT)
    return above if above.any() else chosen
