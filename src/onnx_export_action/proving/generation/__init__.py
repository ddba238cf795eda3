"""Greedy tokens through the cache of the files, against the tokens of `generate`."""
