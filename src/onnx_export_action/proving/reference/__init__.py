"""The side of PyTorch: the untouched model on every case, and its rounding noise."""
