"""Choices of a user that settings, manifest and result write with the same words."""

from __future__ import annotations

import enum


class Weights(enum.StrEnum):
    """Where the weights of a model come from."""

    LOAD = "load"
    RANDOM = "random"  # built from config.json with a seed
