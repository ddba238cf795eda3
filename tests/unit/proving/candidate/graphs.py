"""A product of two axes that vary, right and wrong, and the reference that its files are held to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import helper

from onnx_export_action.proving.arrays import Array
from tests.unit.proving.references import HandMade, save_graph, value

WEIGHT = np.linspace(-1.0, 1.0, 12, dtype=np.float32).reshape(3, 4)
SHAPES = ((2, 5), (1, 5), (3, 5), (2, 1), (2, 9))
VARIED = (None, "batch_size", "batch_size", "sequence_length", "sequence_length")
STATES, SCORES = value("states", ["batch", "length", 3]), value("scores", ["batch", "length", 4])


def rows(shape: tuple[int, int]) -> Array:
    """Numbers of shape (batch, length, 3)."""
    return np.random.default_rng(sum(shape)).normal(size=(*shape, 3)).astype(np.float32)


PRODUCT = HandMade(
    model=lambda inputs: {"scores": inputs["states"] @ WEIGHT},
    inputs={"states": {0: "batch_size", 1: "sequence_length"}},
    outputs={"scores": {0: "batch_size", 1: "sequence_length"}},
    cases={f"{shape}": ({"states": rows(shape)}, varied) for shape, varied in zip(SHAPES, VARIED, strict=True)},
)


def product(path: Path, weight: Array = WEIGHT) -> Path:
    """The product as it is."""
    node = helper.make_node("MatMul", ["states", "weight"], ["scores"], name="/layer/MatMul")
    return save_graph(path, [node], [STATES], [SCORES], {"weight": weight})


def at_export_sizes(path: Path) -> Path:
    """The sizes of the export are fixed inside: the runtime stops at any other."""
    nodes = [
        helper.make_node("Reshape", ["states", "fixed"], ["flat"], name="/layer/Reshape"),
        helper.make_node("MatMul", ["flat", "weight"], ["product"]),
        helper.make_node("Reshape", ["product", "back"], ["scores"]),
    ]
    weights = {"fixed": np.array([10, 3]), "back": np.array([2, 5, 4]), "weight": WEIGHT}
    return save_graph(path, nodes, [STATES], [SCORES], weights)


def never(path: Path) -> Path:
    """The runtime stops at every input."""
    nodes = [
        helper.make_node("Reshape", ["states", "fixed"], ["flat"], name="/layer/Reshape"),
        helper.make_node("MatMul", ["flat", "weight"], ["scores"]),
    ]
    return save_graph(path, nodes, [STATES], [SCORES], {"fixed": np.array([7, 11, 3]), "weight": WEIGHT})


def divided(path: Path) -> Path:
    """The product by the difference of a weight with itself: no number is finite."""
    nodes = [
        helper.make_node("MatMul", ["states", "weight"], ["product"]),
        helper.make_node("Sub", ["one", "one"], ["zero"]),
        helper.make_node("Div", ["product", "zero"], ["scores"]),
    ]
    return save_graph(path, nodes, [STATES], [SCORES], {"weight": WEIGHT, "one": np.ones(1, np.float32)})


def widened(path: Path) -> Path:
    """One channel too many."""
    weight = np.concatenate([WEIGHT, WEIGHT[:, :1]], axis=1)
    node = helper.make_node("MatMul", ["states", "weight"], ["scores"])
    return save_graph(path, [node], [STATES], [value("scores", ["batch", "length", "width"])], {"weight": weight})


def declared_otherwise(path: Path) -> Path:
    """Right numbers under a declaration that is not true: five positions always."""
    node = helper.make_node("MatMul", ["states", "weight"], ["scores"])
    return save_graph(path, [node], [STATES], [value("scores", ["batch", 5, 4])], {"weight": WEIGHT})
