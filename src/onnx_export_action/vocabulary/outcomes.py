"""What an export left in its folder, as plain values that cross from the exporting process. Imports no torch."""

from __future__ import annotations

import msgspec

from onnx_export_action.vocabulary.manifest import FileRecord, OnnxFileRecord


class ExportOutcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that an export made. ``timings`` are seconds, ``notes`` what the report should say."""

    files: list[OnnxFileRecord]
    companions: list[FileRecord]
    packages: dict[str, str]
    timings: dict[str, float]
    peak_rss_bytes: int
    notes: list[str] = []
