"""The action's face: a workflow's inputs and event in; outputs, a summary, annotations and one comment out."""
