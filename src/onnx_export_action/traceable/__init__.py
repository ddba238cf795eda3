"""What is changed so that a graph can be recorded: the ways, in the order in which they apply.

The reference runs the same model without any of them. A file that comes out wrong because of one is found as any other
is. :func:`traced_as` applies them; ``models`` holds what is special about one model, ``private_names`` says which
private functions of torch and transformers are used or replaced, ``calling`` how a file's inputs become a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import torch

from onnx_export_action.onnx_config.base import PatchingSpec
from onnx_export_action.traceable.experts import traceable_experts
from onnx_export_action.traceable.masks import traceable_masks
from onnx_export_action.traceable.models import patched_models
from onnx_export_action.traceable.private_names import patched
from onnx_export_action.traceable.recurrences import scanned_recurrences
from onnx_export_action.traceable.rewriting import rewritten_calls
from onnx_export_action.traceable.rotary import long_rotary_positions
from onnx_export_action.traceable.scanning import recorded_scans
from onnx_export_action.traceable.symbolics import translated_operators
from onnx_export_action.vocabulary.supported.engines import Engine

_ALL = frozenset({Engine.TRACER, Engine.TORCH_EXPORT, Engine.TORCHSCRIPT})


@dataclass(frozen=True)
class Way:
    """One thing that is changed while ``engines`` record a model."""

    what: str
    change: Callable[[torch.nn.Module], AbstractContextManager[None]]
    engines: frozenset[Engine]


WAYS = (
    Way("functions of single models that read sizes as Python numbers", patched_models, _ALL),
    Way("loops over positions, to be scans", scanned_recurrences, _ALL),
    Way("rotary positions of long texts", long_rotary_positions, _ALL),
    Way("experts, each for the tokens that chose it", traceable_experts, _ALL - {Engine.TORCH_EXPORT}),
    Way("masks without vmap", traceable_masks, frozenset({Engine.TRACER})),
    Way("calls of torch that cannot be traced or translated", rewritten_calls, frozenset({Engine.TRACER})),
    Way("operators without a translation to ONNX", translated_operators, frozenset({Engine.TRACER})),
    Way("scans, each one node", recorded_scans, frozenset({Engine.TRACER})),
)
"""torch.export needs fewer: ``transformers.exporters`` brings patches of its own."""


@contextmanager
def traced_as(engine: Engine, model: torch.nn.Module, patches: Sequence[PatchingSpec] = ()) -> Iterator[None]:
    """Change what ``engine`` cannot record of ``model``, and what a configuration says besides (``patches``).

    Raises:
        ExportError: the installed torch or transformers does not have a private name that it should have.
    """
    with ExitStack() as stack:
        for way in WAYS:
            if engine in way.engines:
                stack.enter_context(way.change(model))
        stack.enter_context(patched(patches))
        yield
