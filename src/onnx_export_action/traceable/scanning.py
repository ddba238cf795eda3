"""Recurrences as ONNX' Scan: a step that is computed for each position, however many there are.

A trace follows a Python loop over the positions and so keeps the number of the traced input. A model that has such a
loop is patched (``recurrences``) to call :func:`scan`. While a graph is made, that leaves one node of a domain of our
own; :func:`write_scans` then puts a Scan in its place, whose body is the step, traced by itself.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import onnx
import torch
from onnx.compose import add_prefix_graph
from torch.onnx import symbolic_helper

from onnx_export_action.vocabulary.supported.opsets import LOWEST_OPSET

Step = Callable[..., tuple[torch.Tensor, ...]]

_DOMAIN = "onnx_export_action"


@dataclass(frozen=True)
class _Recorded:
    """A step, and inputs as it takes them: the states, and one position of each sequence."""

    step: Step
    example: tuple[torch.Tensor, ...]


# The scans of the graph that is being made; None where none is, and recurrences are ordinary loops.
_recorded: list[_Recorded] | None = None


def scan(step: Step, states: Sequence[torch.Tensor], sequences: Sequence[torch.Tensor]) -> torch.Tensor:
    """What ``step`` gives at each position, stacked along a new first axis.

    ``step`` takes the states and one position of each sequence, and returns the next states and one more tensor. The
    positions are the sequences' first axis. It computes with nothing but what it is given.
    """
    if _recorded is None or not torch.jit.is_tracing():
        return _in_turn(step, states, sequences)
    example = (*states, *(sequence[0] for sequence in sequences))
    _recorded.append(_Recorded(step, tuple(tensor.detach().clone() for tensor in example)))
    answer: torch.Tensor = torch.ops.onnx_export_action.scan(len(_recorded) - 1, len(states), [*states, *sequences])
    return answer


def _in_turn(step: Step, states: Sequence[torch.Tensor], sequences: Sequence[torch.Tensor]) -> torch.Tensor:
    answers = []
    for position in range(sequences[0].shape[0]):
        *states, answer = step(*states, *(sequence[position] for sequence in sequences))
        answers.append(answer)
    return torch.stack(answers)


def _recorded_in_turn(key: int, states: int, tensors: list[torch.Tensor]) -> torch.Tensor:
    assert _recorded is not None
    return _in_turn(_recorded[key].step, tensors[:states], tensors[states:])


_library = torch.library.Library(_DOMAIN, "DEF")
_library.define("scan(int key, int states, Tensor[] tensors) -> Tensor")
_library.impl("scan", _recorded_in_turn, "CompositeExplicitAutograd")


@contextmanager
def recorded_scans(_: torch.nn.Module) -> Iterator[None]:
    """Record scans instead of looping; :func:`write_scans` must be called before the end."""
    global _recorded  # noqa: PLW0603 - an operator of torch has no other way to find its step
    before, _recorded = _recorded, []
    torch.onnx.register_custom_op_symbolic(f"{_DOMAIN}::scan", _placeholder, LOWEST_OPSET)
    try:
        yield
    finally:
        _recorded = before


@symbolic_helper.parse_args("i", "i", "v")
def _placeholder(g: Any, key: int, states: int, tensors: Any) -> Any:
    return g.op(f"{_DOMAIN}::Scan", *symbolic_helper._unpack_list(tensors), key_i=key, states_i=states)


def write_scans(model: onnx.ModelProto, opset: int) -> None:
    """Put a Scan in the place of every scan that was recorded."""
    recorded, places = _recorded or [], [node for node in model.graph.node if node.domain == _DOMAIN]
    for node in places:
        key, states = (onnx.helper.get_node_attr_value(node, name) for name in ("key", "states"))
        body = add_prefix_graph(_body(recorded[key], opset), f"{node.name}/")
        last_states = [f"{node.name}/last_{number}" for number in range(states)]
        scanned = onnx.helper.make_node(
            "Scan",
            list(node.input),
            [*last_states, *node.output],
            name=node.name,
            body=body,
            num_scan_inputs=len(node.input) - states,
        )
        node.CopyFrom(scanned)
    domains = [entry for entry in model.opset_import if entry.domain != _DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(domains)


class _Body(torch.nn.Module):
    def __init__(self, step: Step) -> None:
        super().__init__()
        self._step = step

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self._step(*tensors)


def _body(recorded: _Recorded, opset: int) -> onnx.GraphProto:
    buffer = io.BytesIO()
    inputs = [f"input_{number}" for number in range(len(recorded.example))]
    torch.onnx.export(
        _Body(recorded.step).eval(),
        recorded.example,
        buffer,
        dynamo=False,
        do_constant_folding=False,
        opset_version=opset,
        input_names=inputs,
        dynamic_axes={
            name: {axis: f"{name}_{axis}" for axis in range(tensor.dim())}
            for name, tensor in zip(inputs, recorded.example, strict=True)
        },
    )
    graph = onnx.load_model_from_string(buffer.getvalue()).graph
    *states, answer = graph.output
    if answer.name in {state.name for state in states}:
        # ONNX Runtime (1.31) gives garbage for a tensor that is both the next state and the answer.
        graph.node.append(onnx.helper.make_node("Identity", [answer.name], ["answer"], name="Identity"))
        answer.name = "answer"
    return graph
