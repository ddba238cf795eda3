"""What rounding costs: PyTorch rounds as a variant does, and stored weights are read back."""
