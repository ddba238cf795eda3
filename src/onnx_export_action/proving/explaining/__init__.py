"""Of a wrong file: the kind of cause, and where it breaks."""
