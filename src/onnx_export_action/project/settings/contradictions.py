"""What one key of a target means for another, where the two do not go together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from onnx_export_action.project.document import Entry, Node
from onnx_export_action.project.settings.fields import TargetFields, variants_of
from onnx_export_action.project.settings.schema import OF_VARIANTS
from onnx_export_action.vocabulary.problems import quoted
from onnx_export_action.vocabulary.supported.engines import TORCH_EXPORT_MIN_OPSET, TRACER_MAX_OPSET, Engine
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT

Contradiction: TypeAlias = tuple[Node | Entry, str, str | None]


def contradictions(fields: TargetFields) -> Iterator[Contradiction]:
    """The place of each, what is wrong there, and what to do."""
    yield from _of_engine(fields)
    yield from _of_variants(fields)


def _of_engine(fields: TargetFields) -> Iterator[Contradiction]:
    if "opset" not in fields or "engine" not in fields:
        return
    opset, engine = fields.plain("opset"), fields.plain("engine")
    if engine == Engine.TRACER and opset > TRACER_MAX_OPSET:
        message = f"opset {opset} needs the engine torch-export or auto: the tracer ends at {TRACER_MAX_OPSET}"
        yield fields.node("opset"), message, None
    if engine == Engine.TORCH_EXPORT and opset < TORCH_EXPORT_MIN_OPSET:
        message = f"opset {opset} needs the engine tracer or auto: torch-export starts at {TORCH_EXPORT_MIN_OPSET}"
        yield fields.node("opset"), message, None


def _of_variants(fields: TargetFields) -> Iterator[Contradiction]:
    """What the target itself says of a variant that it does not make would never be used; a default may be."""
    if "variants" not in fields and fields.writes("variants"):
        return  # there is a mistake in it, which is reported
    wanted = {REFERENCE_VARIANT, *variants_of(fields)}
    for key in OF_VARIANTS:
        written = fields.own[key].node.value if key in fields.own else None
        for variant, entry in written.items() if isinstance(written, dict) else ():
            if variant not in wanted:
                message = f"{key} is for {quoted(variant)}, which the target does not make"
                yield entry, message, f"add it to 'variants: [{', '.join(variants_of(fields))}]'"
