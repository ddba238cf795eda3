"""Pre-commit hooks: what would break an ONNX export, said at the commit, without torch and without the network."""
