"""Inputs that a model takes, drawn at random from a seed, by kind of input."""
