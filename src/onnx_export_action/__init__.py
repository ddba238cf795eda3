"""Exports Hugging Face models to ONNX, proves that the files compute what PyTorch computes, and reports."""

__version__ = "0.1.0"
