"""Whether both sides choose the same class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnx_export_action.proving.arrays import Array

_BEST = 5

_AGREEMENT_SAMPLE = 1_000_000

_MAP_DIMENSIONS = 4


@dataclass(frozen=True)
class Agreement:
    """Rows of classes: in how many both sides choose the same, and which share of the five best is the same."""

    rows: int
    same_choice: int
    same_five: float | None

    @property
    def argmax(self) -> float:
        """Share of the rows whose largest element is the same."""
        return self.same_choice / self.rows


def agreement_of(reference: Array, candidate: Array, valid: Array | None) -> Agreement | None:
    """How often both sides choose the same class; None where there is nothing to choose from.

    Classes are the last axis, or of maps, (batch, classes, height, width), the second. Where the classes themselves may
    be padding, as the tokens of an answer's start, padding is never chosen. Of the rows of large vocabularies some are
    looked at for the five best: as many as have a million elements.
    """
    class_axis = 1 if reference.ndim == _MAP_DIMENSIONS else -1
    if reference.ndim < 2 or reference.size == 0 or reference.shape[class_axis] < 2:  # noqa: PLR2004
        return None
    ours, theirs = np.moveaxis(reference, class_axis, -1), np.moveaxis(candidate, class_axis, -1)
    if valid is not None:
        rows_and_classes = np.moveaxis(np.broadcast_to(valid, reference.shape), class_axis, -1)
        if valid.shape[class_axis] == 1:
            kept = rows_and_classes[..., 0]
            ours, theirs = ours[kept], theirs[kept]
        else:
            ours, theirs = (np.where(rows_and_classes, array, -np.inf) for array in (ours, theirs))
    ours, theirs = (array.reshape(-1, array.shape[-1]) for array in (ours, theirs))
    if len(ours) == 0:
        return None
    same_choice = int((ours.argmax(axis=-1) == theirs.argmax(axis=-1)).sum())
    return Agreement(len(ours), same_choice, _same_five(ours, theirs))


def _same_five(ours: Array, theirs: Array) -> float | None:
    classes = ours.shape[1]
    if classes <= _BEST:
        return None
    step = max(1, ours.size // _AGREEMENT_SAMPLE)
    chosen = [np.zeros(array[::step].shape, bool) for array in (ours, theirs)]
    for marks, array in zip(chosen, (ours[::step], theirs[::step]), strict=True):
        np.put_along_axis(marks, np.argpartition(array, classes - _BEST, axis=-1)[:, -_BEST:], values=True, axis=-1)
    return float((chosen[0] & chosen[1]).sum() / (_BEST * len(chosen[0])))
