"""ONNX graphs as data: read by their wire format, held without weights, merged, written."""
