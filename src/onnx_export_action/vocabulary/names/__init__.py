"""Names that files, inputs, outputs and axes have for the ecosystem."""
