"""The user's project: ``onnx-export.yaml`` (what to export) and ``manifest.json`` (what was made, from what)."""
