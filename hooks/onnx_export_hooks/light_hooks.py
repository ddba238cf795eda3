"""All hooks that need neither torch nor the network, at once: for callers that are no command line."""

from __future__ import annotations

from pathlib import Path

from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_hooks import (
    check_export_is_current,
    check_model_config,
    check_onnx_export_config,
    check_onnx_files,
    check_safetensors,
)
from onnx_export_hooks.command import Hook, findings_of
from onnx_export_hooks.findings import Finding

LIGHT_HOOKS: tuple[Hook, ...] = (
    check_onnx_export_config.HOOK,
    check_model_config.HOOK,
    check_safetensors.HOOK,
    check_onnx_files.HOOK,
    check_export_is_current.HOOK,
)


def findings_below(folder: Path, settings_path: Path) -> list[Finding]:
    """What every light hook finds below a folder, sorted; a hook that cannot run there has nothing to say."""
    found: set[Finding] = set()
    for hook in LIGHT_HOOKS:
        try:
            found.update(findings_of(hook, [folder], settings_path))
        except (ExportError, OSError):
            continue
    return sorted(found)
