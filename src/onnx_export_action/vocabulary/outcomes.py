"""What an export left in its folder, as plain values that cross from the exporting process. Imports no torch."""

from __future__ import annotations

import msgspec

from onnx_export_action.vocabulary.manifest import FileRecord, OnnxFileRecord


class DecoderFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What clients are told of a text decoder beside its files; None where its configuration does not say.

    ``context_length`` is the number of positions that it takes, the past counted.
    """

    context_length: int | None = None
    hidden_size: int | None = None
    num_attention_heads: int | None = None
    bos_token_id: int | None = None
    eos_token_ids: list[int] = []
    pad_token_id: int | None = None


class ExportOutcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that an export made. ``timings`` are seconds, ``notes`` what the report should say.

    ``decoder`` is said of models that generate text.
    """

    files: list[OnnxFileRecord]
    companions: list[FileRecord]
    packages: dict[str, str]
    timings: dict[str, float]
    peak_rss_bytes: int
    notes: list[str] = []
    decoder: DecoderFacts | None = None
