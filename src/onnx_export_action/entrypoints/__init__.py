"""What people call: the command line, the step of a workflow, the library, the legacy call."""
