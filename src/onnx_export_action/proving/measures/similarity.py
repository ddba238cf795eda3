"""What a user of embeddings feels: cosine similarities of the sample texts, from PyTorch and from the file."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from onnx_export_action.vocabulary.results import SimilarityResult

MAX_PAIRS = 12
_EMBEDDING_OUTPUTS = ("sentence_embedding", "last_hidden_state")


def sample_similarities(
    texts: list[str],
    inputs: Mapping[str, np.ndarray[Any, Any]],
    expected: Mapping[str, np.ndarray[Any, Any]],
    found: Mapping[str, np.ndarray[Any, Any]],
) -> list[SimilarityResult]:
    """Similarity of every pair of ``texts`` (at most twelve pairs); empty where the model gives no embedding."""
    name = next((name for name in _EMBEDDING_OUTPUTS if name in expected), None)
    if len(texts) < 2 or name is None:  # noqa: PLR2004 - a pair
        return []
    torch_side = embeddings(expected[name], inputs)
    onnx_side = embeddings(found[name], inputs)
    pairs = itertools.islice(itertools.combinations(range(len(texts)), 2), MAX_PAIRS)
    return [
        SimilarityResult(
            first=texts[a],
            second=texts[b],
            torch=float(torch_side[a] @ torch_side[b]),
            onnx=float(onnx_side[a] @ onnx_side[b]),
        )
        for a, b in pairs
    ]


def embeddings(states: np.ndarray[Any, Any], inputs: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Rows of length one, shape (batch, size).

    Token states of shape (batch, length, size) are averaged over the attention mask, as sentence-transformers'
    mean pooling does (https://sbert.net/docs/package_reference/sentence_transformer/models.html); over all positions
    where the mask has another length.
    """
    states = states.astype(np.float64)
    if states.ndim == 3:  # noqa: PLR2004 - (batch, length, size)
        mask = inputs.get("attention_mask")
        if mask is None or mask.shape != states.shape[:2]:
            mask = np.ones(states.shape[:2])
        mask = mask[..., None].astype(np.float64)
        states = (states * mask).sum(axis=1) / np.maximum(mask.sum(axis=1), 1.0)
    norms = np.linalg.norm(states, axis=-1, keepdims=True)
    return np.asarray(states / np.maximum(norms, 1e-12))
