"""What is changed so that a graph can be recorded."""
