"""The keys of one target, and what those mean that need no look at the disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onnx_export_action.project.document import Entry, Node
from onnx_export_action.vocabulary.options import LatencyBounds, OutputTolerance
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT


class TargetFields:
    """The usable keys of one target: its own, else the default's. A key with a mistake inside is absent."""

    def __init__(self, place: Node, own: dict[str, Entry], defaults: dict[str, Entry]) -> None:
        self.place = place
        self.own = own
        self._entries = defaults | own

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def writes(self, key: str) -> bool:
        """Whether the target itself has the key, usable or not."""
        return isinstance(self.place.value, dict) and key in self.place.value

    def node(self, key: str) -> Node:
        """The value's node, or the target's where the key is absent."""
        return self._entries[key].node if key in self._entries else self.place

    def text(self, key: str) -> str | None:
        """A text value, None where the key is absent."""
        value = self.node(key).value if key in self else None
        return value if isinstance(value, str) else None

    def plain(self, key: str) -> Any:
        """The value as the schema allows it."""
        return self.node(key).plain()


def task_of(fields: TargetFields) -> str:
    """The Hub's name of the task, or auto."""
    from onnx_export_action.onnx_config.tasks import map_from_synonym

    return map_from_synonym(fields.text("task") or "auto")


def variants_of(fields: TargetFields) -> tuple[str, ...]:
    """The variants that the target asks for."""
    return tuple(fields.plain("variants")) if "variants" in fields else (REFERENCE_VARIANT,)


def variant_notes_of(fields: TargetFields) -> Iterator[str]:
    """What a report should say of them."""
    if REFERENCE_VARIANT not in variants_of(fields):
        yield f"{REFERENCE_VARIANT} is made too, though 'variants' does not name it: the others are made from it"


def latency_of(fields: TargetFields) -> LatencyBounds | None:
    """The bounds of a call, None where it is not to be timed."""
    written = fields.plain("latency") if "latency" in fields else False
    if isinstance(written, dict):
        return LatencyBounds(**written)
    return LatencyBounds() if written else None


def shapes_of(fields: TargetFields) -> dict[str, list[int]]:
    """Further sizes by axis."""
    written = fields.plain("shapes") if "shapes" in fields else {}
    return {name: sizes if isinstance(sizes, list) else [sizes] for name, sizes in written.items()}


def tolerance_of(fields: TargetFields) -> dict[str, dict[str, OutputTolerance]]:
    """Declared tolerances by variant, then output; a number is atol."""
    written = fields.plain("tolerance") if "tolerance" in fields else {}
    return {
        variant: {
            output: OutputTolerance(**bound) if isinstance(bound, dict) else OutputTolerance(atol=bound)
            for output, bound in outputs.items()
        }
        for variant, outputs in written.items()
    }


def high_precision_of(fields: TargetFields) -> dict[str, list[str]]:
    """By variant, what stays in float32."""
    written = fields.plain("high_precision") if "high_precision" in fields else {}
    return {variant: nodes if isinstance(nodes, list) else [nodes] for variant, nodes in written.items()}
