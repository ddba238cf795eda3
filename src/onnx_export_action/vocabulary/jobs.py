"""What is to be exported, from where, as what: as it is asked for, and as it was found."""

from __future__ import annotations

from pathlib import Path

import msgspec

from onnx_export_action.vocabulary.names.components import ONNX_FOLDER, TORCHSCRIPT_FOLDER
from onnx_export_action.vocabulary.options import ExportOptions
from onnx_export_action.vocabulary.results import FailOn
from onnx_export_action.vocabulary.supported.engines import Engine


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a user asks for one model, before anything is looked up.

    ``model`` is a folder or a Hub id; ``task`` is ``auto`` or the Hub's name of it.
    """

    name: str
    model: str
    destination: Path
    revision: str | None = None
    task: str = "auto"
    options: ExportOptions = ExportOptions()
    trust_remote_code: bool = False
    fail_on: FailOn = FailOn.VALIDATION
    notes: list[str] = []


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A request, resolved: the model's files are on disk and its task is known. All that the later stages are given."""

    name: str
    source: str
    folder: Path
    model_type: str
    task: str
    destination: Path
    revision: str | None = None
    options: ExportOptions = ExportOptions()
    trust_remote_code: bool = False

    @property
    def file_folder_name(self) -> str:
        """Folder of the exported files inside the artifact folder."""
        if self.options.flat_layout:
            return "."
        return TORCHSCRIPT_FOLDER if self.options.engine == Engine.TORCHSCRIPT else ONNX_FOLDER
