"""From a loaded model to ONNX files. The only room besides validation that imports torch."""
