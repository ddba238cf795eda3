"""From a folder or the Hub to a model in memory."""
