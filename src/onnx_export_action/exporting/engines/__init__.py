"""What turns a model into a graph: one module an engine."""
