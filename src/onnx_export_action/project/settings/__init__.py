"""``onnx-export.yaml``: the document, then the schema, then the meaning; every mistake is reported at once."""

from onnx_export_action.project.settings.reading import Settings, SettingsError, load_settings
from onnx_export_action.project.settings.targets import PublishSettings, Target

__all__ = ["PublishSettings", "Settings", "SettingsError", "Target", "load_settings"]
