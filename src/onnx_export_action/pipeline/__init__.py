"""From a target of the settings to its result: what runs, in which process, in which order."""
