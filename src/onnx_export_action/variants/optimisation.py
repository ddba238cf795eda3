"""Graph optimisation levels: ONNX Runtime's own rewriting of a graph, done once and stored in the file.

The levels are named as optimum and sentence-transformers name them
(https://huggingface.co/docs/optimum-onnx/onnxruntime/usage_guides/optimization): O1 folds constants and takes out what
does nothing, O2 also fuses nodes to one operator of ONNX Runtime, O3 also computes GELU by its tanh form, O4 is O3 in
float16. Optimum lets ONNX Runtime's extended level run before the fusions; here it is the basic one, after which at
least as many patterns are still found, and whose graph is not bound to a processor.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import onnx
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import MODEL_TYPES, optimize_model

from onnx_export_action.graphs.nodes import graph_nodes
from onnx_export_action.variants.float16 import in_float16
from onnx_export_action.variants.source import Fp32File, matching
from onnx_export_action.vocabulary.variants import Variant

# The tool's class for GPT-2 finds all that the one for BERT finds, in encoders, T5, and vision and speech models too,
# and puts a product for each Gemm between two Reshapes. It finds the number of heads in the graph by itself.
_FUSIONS_OF = "gpt2"
_BASIC = 1


def make_o1(source: Fp32File, _: Variant) -> onnx.ModelProto:
    """Constants folded, and nodes that do nothing taken out."""
    return _optimised(source.path, fused=False, approximated=False)


def make_o2(source: Fp32File, _: Variant) -> onnx.ModelProto:
    """Also fused."""
    return _optimised(source.path, fused=True, approximated=False)


def make_o3(source: Fp32File, _: Variant) -> onnx.ModelProto:
    """Also with GELU by its tanh form."""
    return _optimised(source.path, fused=True, approximated=True)


def make_o4(source: Fp32File, variant: Variant) -> onnx.ModelProto:
    """Also in float16."""
    model = make_o3(source, variant)
    return in_float16(model, matching(model, source.patterns), half_cache=variant.half_cache)


def _optimised(path: Path, *, fused: bool, approximated: bool) -> onnx.ModelProto:
    """The graph of the file at ``path``, simplified; ``fused`` is O2, with ``approximated`` GELU O3."""
    options = FusionOptions(_FUSIONS_OF)
    # It would take the embeddings' inputs in int32, and needs a mask that counts the tokens.
    options.enable_embed_layer_norm = False
    options.enable_gelu_approximation = approximated
    with _passing_over_products():
        optimizer = optimize_model(
            str(path), _FUSIONS_OF, optimization_options=options, opt_level=_BASIC, only_onnxruntime=not fused
        )
    model: onnx.ModelProto = optimizer.model
    _unfold_shared_weights(model.graph, onnx.load(path, load_external_data=False).graph)
    _declare_types(model.graph)
    used = {"", *(node.domain for node in graph_nodes(model.graph))}
    domains = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(domains)
    return model


@contextmanager
def _passing_over_products() -> Iterator[None]:
    """Let the tool leave root mean squares that are computed by ``x * x`` (ImageGPT) as they are.

    ONNX Runtime 1.31 subscripts a node there (``reduce_mean_parent[0]`` in fusion_simplified_layernorm.py) and stops
    with a TypeError. It can go when O2 of such a model can be made without it.
    """
    fusions = MODEL_TYPES[_FUSIONS_OF][0]
    fuse = fusions.fuse_simplified_layer_norm

    def fuse_or_leave(self: Any) -> None:
        with suppress(TypeError):
            fuse(self)

    with patch.object(fusions, "fuse_simplified_layer_norm", fuse_or_leave):
        yield


def _unfold_shared_weights(graph: onnx.GraphProto, original: onnx.GraphProto) -> None:
    """Give back the Transpose of a weight that the graph also reads as it is: folded, both would be stored.

    So GPT-2, whose embeddings are its last layer's weight too, stays as small as it is.
    """
    stored = {tensor.name for tensor in graph.initializer}
    transposes = [
        node
        for node in original.node
        if node.op_type == "Transpose" and node.input[0] in stored and node.output[0] in stored
    ]
    folded = {node.output[0] for node in transposes}
    for place in reversed(range(len(graph.initializer))):
        if graph.initializer[place].name in folded:
            del graph.initializer[place]
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in (*transposes, *graph.node)]
    del graph.node[:]
    graph.node.extend(nodes)


def _declare_types(graph: onnx.GraphProto) -> None:
    """Say that fused operators give float32: onnx's inference, which the float16 tool goes by, knows none of them."""
    declared = {value.name for value in (*graph.value_info, *graph.output)}
    graph.value_info.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for node in graph.node
        if node.domain == "com.microsoft"
        for name in node.output
        if name and name not in declared
    )
