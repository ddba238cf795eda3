"""What a file is held to, output by output: before any case is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnx_export_action.proving.measures.quality import demands, element_tolerance
from onnx_export_action.proving.measures.tolerance import Tolerance, tolerance_of
from onnx_export_action.proving.records import CandidateFile, ComponentRecord, OutputRecord, joined
from onnx_export_action.vocabulary.options import Tolerances
from onnx_export_action.vocabulary.results import QualityResult
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT


@dataclass(frozen=True)
class OutputStandard:
    """One output of a file: what PyTorch gives, how far an element may be off, and what must be kept of the whole.

    ``exact`` is the tolerance of the fp32 file.
    """

    name: str
    record: OutputRecord
    exact: Tolerance
    tolerance: Tolerance
    quality: QualityResult | None

    @property
    def is_vacuous(self) -> bool:
        """Whether PyTorch's own output does not vary with the input, so that agreement proves nothing."""
        return self.record.spread <= self.exact.atol + self.exact.rtol * self.record.root_mean_square


def standards_of(
    declared: Tolerances, file: CandidateFile, records: Sequence[ComponentRecord]
) -> dict[str, OutputStandard]:
    """By output, over all components of the file."""
    names = dict.fromkeys(name for component in records for name in component.outputs)
    return {
        name: _standard(
            name,
            declared,
            file.variant,
            joined([component.outputs[name] for component in records if name in component.outputs]),
        )
        for name in names
    }


def _standard(name: str, declared: Tolerances, variant: str, record: OutputRecord) -> OutputStandard:
    exact = tolerance_of(declared.of(REFERENCE_VARIANT, name), record)
    own = declared.of(variant, name)
    tolerance = exact if variant == REFERENCE_VARIANT else element_tolerance(variant, own, exact, record)
    return OutputStandard(name, record, exact, tolerance, demands(variant, own, exact, record))
