"""The ONNX files that lie in an artifact folder, by the names that say what they compute."""

from __future__ import annotations

from pathlib import Path

from onnx_export_action.proving.records import CandidateFile
from onnx_export_action.vocabulary.components import COMPONENTS_OF_FILE, TORCHSCRIPT_SUFFIX
from onnx_export_action.vocabulary.errors import plan_error
from onnx_export_action.vocabulary.jobs import TORCHSCRIPT
from onnx_export_action.vocabulary.variants import VARIANTS, variant_path

_UNKNOWN_ENGINE = "unknown"


def files_to_check(folder: Path) -> list[CandidateFile]:
    """The files in ``folder/onnx``, else in ``folder``; those of fp32 come first, as variants are held against them.

    Raises:
        ExportError: the folder holds none.
    """
    for place in (folder / "onnx", folder):
        found = [
            CandidateFile(
                path=place / name,
                name=(place / name).relative_to(folder).as_posix(),
                components=components,
                engine=_UNKNOWN_ENGINE,
                variant=variant,
            )
            for variant in VARIANTS
            for stem, components in COMPONENTS_OF_FILE.items()
            if (place / (name := variant_path(f"{stem}.onnx", variant))).is_file()
        ]
        if found:
            return found
    if any((folder / TORCHSCRIPT).glob(f"*{TORCHSCRIPT_SUFFIX}")):
        raise plan_error(
            f"{folder} holds TorchScript files, which are programs: they are proven where they are exported",
            "export the model again: `onnx-export export MODEL OUTPUT --format torchscript`",
        )
    names = ", ".join(f"{name}.onnx" for name in COMPONENTS_OF_FILE)
    raise plan_error(f"{folder} holds no ONNX file of a known name", f"names: {names}")
