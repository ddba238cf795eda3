"""What a file says of itself: operator set, operators, and what its inputs and outputs declare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from onnx_export_action.graphs.reader import Graph, OnnxError, OnnxNode, Value, external_locations, read_onnx
from onnx_export_action.graphs.torchscript_signature import read_signature
from onnx_export_action.vocabulary.names.components import TORCHSCRIPT_SUFFIX

# Operators whose answer changes from run to run (https://onnx.ai/onnx/operators/). Dropout is one only when it trains,
# which its third input says.
_RANDOM_OPERATORS = frozenset(
    ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial")
)
_DROPOUT_TRAINING_INPUT = 2


@dataclass(frozen=True)
class GraphFacts:
    """``operators`` counts nodes by operator, with its domain where that is not ONNX's own.

    ``external_data`` are the places that the file gives for weights beside it.
    """

    opset: int = 0
    operators: dict[str, int] = field(default_factory=dict)
    random_operators: list[str] = field(default_factory=list)
    active_dropouts: list[str] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    external_data: list[str] = field(default_factory=list)


def graph_facts(path: Path) -> GraphFacts:
    """Read a file's structure; empty where it is none: loading the session says what is wrong with it."""
    if path.suffix == TORCHSCRIPT_SUFFIX:
        return _facts_of_program(path)
    try:
        file = read_onnx(path)
    except OnnxError:
        return GraphFacts()
    nodes = list(_nodes(file.graph))
    weights = {tensor.name for tensor in file.graph.weights}
    return GraphFacts(
        opset=file.opsets.get("", 0),
        operators=dict(sorted(Counter(_operator(node) for node in nodes).items())),
        random_operators=[f"{node.operator} {node.name}".strip() for node in nodes if _is_random(node)],
        active_dropouts=_active_dropouts(path, nodes),
        inputs=[value for value in file.graph.inputs if value.name not in weights],
        outputs=file.graph.outputs,
        external_data=external_locations(file.graph),
    )


def _facts_of_program(path: Path) -> GraphFacts:
    try:
        signature = read_signature(path)
    except ValueError:
        return GraphFacts()
    inputs, outputs = (
        [Value(name, record.dtype, tuple(record.shape)) for name, record in tensors.items()]
        for tensors in (signature.inputs, signature.outputs)
    )
    return GraphFacts(inputs=inputs, outputs=outputs)


def _nodes(graph: Graph) -> Iterator[OnnxNode]:
    for node in graph.nodes:
        yield node
        for inner in node.graphs:
            yield from _nodes(inner)


def _operator(node: OnnxNode) -> str:
    return f"{node.domain}.{node.operator}" if node.domain else node.operator


def _is_random(node: OnnxNode) -> bool:
    return node.domain == "" and node.operator in _RANDOM_OPERATORS


def _active_dropouts(path: Path, nodes: list[OnnxNode]) -> list[str]:
    """Names of the dropouts that are told to train; one whose input comes from elsewhere counts as told so."""
    asked = {
        node.inputs[_DROPOUT_TRAINING_INPUT]: node.name or node.outputs[0]
        for node in nodes
        if node.operator == "Dropout" and node.domain == "" and any(node.inputs[_DROPOUT_TRAINING_INPUT:])
    }
    if not asked:
        return []
    import onnx

    model = onnx.load(path, load_external_data=False)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    constants |= {n.output[0]: n.attribute[0].t for n in model.graph.node if n.op_type == "Constant" and n.attribute}
    return [
        name
        for switch, name in asked.items()
        if switch not in constants or onnx.numpy_helper.to_array(constants[switch]).any()
    ]
