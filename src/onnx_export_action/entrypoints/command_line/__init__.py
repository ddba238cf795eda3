"""The command `onnx-export`: options in, exit code out."""
