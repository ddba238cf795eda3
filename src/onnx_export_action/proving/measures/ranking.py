"""Detectors that choose their queries among candidates by rank: where scores are nearly equal, rounding decides.

The queries of a detector are a set. Those whose scores PyTorch tells apart by no more than rounding may change places
with each other, and with no others; and a case in which rounding decides who is chosen at all is no case to judge by.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from onnx_export_action.proving.arrays import Array

# In standard deviations of the candidates' scores: a hundred times what float32 loses in a network of some depth.
_ROUNDING = 1e-4


def ranked(scores: Array, chosen: int) -> Array:
    """The best scores, (batch, chosen) and one more where there is one, best first, in standard deviations.

    ``scores`` has shape (batch, candidates).
    """
    in_order = -np.sort(-scores.astype(np.float64), axis=1)[:, : chosen + 1]
    deviation = float(scores.std())
    return np.asarray(in_order / deviation if deviation > 0 else in_order)


def choice_is_certain(ranking: Array, chosen: int) -> bool:
    """Whether in every row the last that is chosen is clearly better than the first that is not."""
    return ranking.shape[1] == chosen or bool((ranking[:, chosen - 1] - ranking[:, chosen] > _ROUNDING).all())


def in_expected_order(expected: Mapping[str, Array], found: Mapping[str, Array], ranking: Array) -> dict[str, Array]:
    """``found`` with queries of nearly equal rank in the order of ``expected``; all of shape (batch, queries, size)."""
    if any(found[name].shape != array.shape for name, array in expected.items()):
        return dict(found)
    ours = np.concatenate([found[name] for name in expected], axis=-1)
    theirs = np.concatenate(list(expected.values()), axis=-1)
    rows, queries = ours.shape[:2]
    order = np.tile(np.arange(queries), (rows, 1))
    for row in range(rows):
        for first, end in _ties(ranking[row, :queries]):
            order[row, first:end] = first + _matched(theirs[row, first:end], ours[row, first:end])
    return {name: np.take_along_axis(array, order[..., None], axis=1) for name, array in found.items()}


def _ties(scores: Array) -> list[tuple[int, int]]:
    """First and end of every run of two or more neighbours that rounding may swap."""
    borders = [0, *(np.flatnonzero(scores[:-1] - scores[1:] > _ROUNDING) + 1), len(scores)]
    return [(int(first), int(end)) for first, end in itertools.pairwise(borders) if end - first > 1]


def _matched(wanted: Array, offered: Array) -> Array:
    """For each wanted row the nearest offered one that is still free, the surest matches first."""
    distance = np.abs(wanted[:, None] - offered[None]).max(axis=-1)
    distance[np.isnan(distance)] = np.inf
    places = np.zeros(len(wanted), np.int64)
    taken = np.zeros(distance.shape, bool)
    for _ in range(len(wanted)):
        free = np.flatnonzero(~taken.reshape(-1))
        row, column = divmod(int(free[distance.reshape(-1)[free].argmin()]), len(offered))
        places[row] = column
        taken[row], taken[:, column] = True, True
    return places
