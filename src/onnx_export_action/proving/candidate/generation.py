"""Greedy generation through the file, where its reference generated and its single calls are right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from onnx_export_action.proving.candidate.session import Candidate, open_session
from onnx_export_action.proving.candidate.standards import OutputStandard
from onnx_export_action.proving.candidate.stopping import RuntimeStoppedError
from onnx_export_action.proving.generation.decoder_only import Generated, check_generation
from onnx_export_action.proving.generation.encoder_decoder import DECODER, ENCODER, check_generation_from_encoder
from onnx_export_action.proving.measures.quality import token_tolerance
from onnx_export_action.proving.measures.task_metrics import SPEECH, WordErrors
from onnx_export_action.proving.measures.tolerance import Tolerance
from onnx_export_action.proving.records import CandidateFile, ComponentRecord, GenerationRecord, ReferenceReader
from onnx_export_action.vocabulary.names.components import MERGED_DECODER
from onnx_export_action.vocabulary.results import TaskMetricResult
from onnx_export_action.vocabulary.variants import variant_path


def generate(
    file: CandidateFile, candidate: Candidate, standards: Mapping[str, OutputStandard], reader: ReferenceReader
) -> Generated | None:
    """What the file generates beside what PyTorch did; None where there is nothing to compare.

    Raises:
        RuntimeStoppedError: the runtime gave an error.
    """
    record = candidate.records[0]
    if not record.generates:
        return None
    generation = reader.generation(record.name)
    if generation.file is None:
        return None
    tolerance = token_tolerance(file.variant, standards["logits"].tolerance)
    arrays = reader.folder / generation.file
    if record.name == DECODER:
        return _from_encoder(file, candidate, generation, tolerance, arrays)
    return check_generation(
        lambda feeds: candidate.run(record, feeds),
        candidate.empty_past(record, generation.prompts),
        record.inputs,
        generation,
        tolerance,
        arrays,
    )


def _from_encoder(
    file: CandidateFile, candidate: Candidate, generation: GenerationRecord, tolerance: Tolerance, arrays: Path
) -> Generated | None:
    """With the encoder beside the decoder; a decoder that is also in a merged file is compared there."""
    names = (f"{name}{file.path.suffix}" for name in (ENCODER, MERGED_DECODER))
    encoder, merged = (file.path.with_name(variant_path(name, file.variant)) for name in names)
    if not encoder.is_file() or (len(candidate.records) == 1 and merged.is_file()):
        return None
    try:
        session = open_session(encoder)
    except RuntimeStoppedError:  # which the encoder's own verdict says
        return None
    taken = {value.name for value in session.get_inputs()}
    return check_generation_from_encoder(
        candidate.run,
        lambda inputs: session.run(["last_hidden_state"], {name: inputs[name] for name in taken})[0],
        candidate.records,
        generation,
        tolerance,
        arrays,
    )


def word_errors(record: ComponentRecord, generated: Generated) -> Iterator[TaskMetricResult]:
    """Of speech: the words that the file's own choices spell, against PyTorch's."""
    if record.task != SPEECH:
        return
    errors = WordErrors(record.pieces, record.blank)
    for said, heard in zip(generated.expected.tolist(), generated.chosen.tolist(), strict=True):
        errors.add_tokens(said, heard)
    yield from errors.results()
