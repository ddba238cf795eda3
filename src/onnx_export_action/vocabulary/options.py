"""How a model is exported and how its files are judged: what a user may choose, apart from the model itself."""

from __future__ import annotations

from pathlib import Path

import msgspec

from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.declarations import Declaration
from onnx_export_action.vocabulary.names.external_data import SHARD_BYTES
from onnx_export_action.vocabulary.supported.engines import Engine
from onnx_export_action.vocabulary.supported.opsets import DEFAULT_OPSET
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT


class OutputTolerance(msgspec.Struct, frozen=True, kw_only=True):
    """Declared tolerance of one output; None leaves that part to the default.

    An element may be off by ``atol + rtol * |torch|``. Over all elements the file must keep ``sqnr_db`` decibels of
    signal over noise and the ``cosine``, and choose the same largest logit in ``agreement`` of the rows.
    """

    atol: float | None = None
    rtol: float | None = None
    sqnr_db: float | None = None
    cosine: float | None = None
    agreement: float | None = None


class LatencyBounds(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for latency to be measured; what is given bounds ONNX Runtime's median, in ms or relative to PyTorch's."""

    max_ms: float | None = None
    max_ratio: float | None = None


class Tolerances(msgspec.Struct, frozen=True, kw_only=True):
    """Every tolerance that a user declares: of a variant's output, and of every output of every variant."""

    of_variants: dict[str, dict[str, OutputTolerance]] = {}
    of_every_output: OutputTolerance = OutputTolerance()

    def of(self, variant: str, output: str) -> OutputTolerance:
        """What is declared for one output of one variant; a part that it leaves out is that of every output."""
        own = self.of_variants.get(variant, {}).get(output, OutputTolerance())
        declared = {name: value for name, value in msgspec.structs.asdict(own).items() if value is not None}
        return msgspec.structs.replace(self.of_every_output, **declared)


class ExportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a target, a command's options and a job have in common, from the first reading to the last stage.

    ``shapes`` is by axis name; ``samples`` is a file or folder of real inputs. ``high_precision`` holds by variant the
    nodes that stay in float32, or ``auto`` alone. No file is larger than ``shard_bytes``: beyond, its weights lie in
    pieces beside it. ``flat_layout`` puts the files at the top of the artifact folder, as the legacy call did.
    """

    weights: Weights = Weights.LOAD
    seed: int = 0
    opset: int = DEFAULT_OPSET
    engine: Engine = Engine.AUTO
    variants: tuple[str, ...] = (REFERENCE_VARIANT,)
    shapes: dict[str, list[int]] = {}
    samples: Path | None = None
    tolerance: Tolerances = Tolerances()
    high_precision: dict[str, list[str]] = {}
    latency: LatencyBounds | None = None
    shard_bytes: int = SHARD_BYTES
    declaration: Declaration = Declaration()
    flat_layout: bool = False
