"""From a loaded model to ONNX files."""
