"""What keeps a stranger's files and a model's process from what is not theirs: imports, environment, memory."""
