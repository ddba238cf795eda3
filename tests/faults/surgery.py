"""Small operations on an ONNX graph, of which faults and harmless changes are made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, Any]


class Surgery:
    """One model on the table. New nodes stand before those that read them."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.graph = model.graph
        self._count = 0

    def node(self, pattern: str) -> onnx.NodeProto:
        """The first node whose name, behind ``/model/``, matches the whole pattern."""
        found = next((node for node in self.graph.node if re.fullmatch(f"/model/{pattern}", node.name)), None)
        assert found is not None, f"no node matches {pattern}"
        return found

    def weight(self, pattern: str) -> onnx.TensorProto:
        """The first initializer whose name matches the whole pattern."""
        found = next((tensor for tensor in self.graph.initializer if re.fullmatch(pattern, tensor.name)), None)
        assert found is not None, f"no weight matches {pattern}"
        return found

    def change_weight(self, pattern: str, change: Callable[[Array], Array]) -> None:
        tensor = self.weight(pattern)
        before = numpy_helper.to_array(tensor)
        after = change(before.copy()).astype(before.dtype)
        assert not np.array_equal(before, after), f"{tensor.name} is what it was"
        tensor.CopyFrom(numpy_helper.from_array(after, tensor.name))

    def constant(self, value: Any, dtype: Any) -> str:
        name = self._new_name("constant")
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(self, operator: str, *inputs: str, before: onnx.NodeProto | None = None, **attributes: Any) -> str:
        """A new node with one output, whose name is returned; at the front, or before a node."""
        output = self._new_name(operator)
        node = helper.make_node(operator, list(inputs), [output], name=output, **attributes)
        nodes = self.graph.node
        place = len(nodes) if before is None else next(i for i, other in enumerate(nodes) if other is before)
        nodes.insert(place, node)
        return output

    def replace_reads(self, old: str, new: str, *, nodes: Iterable[onnx.NodeProto] | None = None) -> None:
        """Let the nodes (all by default) read ``new`` where they read ``old``."""
        changed = 0
        for node in list(self.graph.node if nodes is None else nodes):
            for position, name in enumerate(node.input):
                if name == old:
                    node.input[position] = new
                    changed += 1
        assert changed, f"nothing reads {old}"

    def after(self, tensor: str, change: Callable[[str], str]) -> None:
        """Send every reader of a tensor to what ``change`` makes of it; an output of the graph keeps its name."""
        readers = [node for node in self.graph.node if tensor in node.input]
        if any(value.name == tensor for value in self.graph.output):
            hidden = self._new_name("hidden")
            for node in self.graph.node:
                node.output[:] = [hidden if name == tensor else name for name in node.output]
            for node in readers:
                node.input[:] = [hidden if name == tensor else name for name in node.input]
            made = change(hidden)
            self.graph.node.append(helper.make_node("Identity", [made], [tensor], name=self._new_name("Identity")))
            return
        made = change(tensor)
        self.replace_reads(tensor, made, nodes=readers)

    def size(self, tensor: str, axis: int) -> str:
        """A number: the size of one axis."""
        return self.add("Gather", self.add("Shape", tensor), self.constant(axis, np.int64))

    def disturb_where(self, tensor: str, condition: str, by: float = 0.5) -> None:
        """Raise the elements of a float tensor by a share of their size where a condition (broadcast) holds.

        A constant alone would be lost in the next layer norm.
        """

        def change(name: str) -> str:
            share = self.add("Mul", self.add("Cast", condition, to=TensorProto.FLOAT), self.constant(by, np.float32))
            return self.add("Add", name, self.add("Mul", self.add("Abs", name), share))

        self.after(tensor, change)

    def value(self, name: str) -> onnx.ValueInfoProto:
        """An input or output."""
        return next(value for value in (*self.graph.input, *self.graph.output) if value.name == name)

    def fix_axis(self, name: str, axis: int, size: int) -> None:
        self.value(name).type.tensor_type.shape.dim[axis].dim_value = size

    def rename_output(self, old: str, new: str) -> None:
        self.graph.node.append(helper.make_node("Identity", [old], [new]))
        self.value(old).name = new

    def in_order(self) -> onnx.ModelProto:
        """The model with every node after those whose outputs it reads."""
        produced = {name for node in self.graph.node for name in node.output}
        waiting = [onnx.NodeProto.FromString(node.SerializeToString()) for node in self.graph.node]
        ordered: list[onnx.NodeProto] = []
        while waiting:
            ready, later = [], []
            for node in waiting:
                (later if produced & set(_reads(node)) else ready).append(node)
            assert ready, "the graph has a circle"
            produced -= {name for node in ready for name in node.output}
            ordered += ready
            waiting = later
        del self.graph.node[:]
        self.graph.node.extend(ordered)
        return self.model

    def _new_name(self, what: str) -> str:
        self._count += 1
        return f"fault_{what}_{self._count}"


def _reads(node: onnx.NodeProto) -> Iterable[str]:
    yield from node.input
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            for inner in attribute.g.node:
                yield from _reads(inner)


def attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto:
    return next(each for each in node.attribute if each.name == name)
