"""Operator sets of ai.onnx: those that this project writes, and that the runtime loads (`engines` says what each engine writes)."""

from __future__ import annotations

DEFAULT_OPSET = 18
MIN_OPSET, MAX_OPSET = 14, 23
"""What settings, commands and inputs of the action may ask for."""

LOWEST_OPSET = 11
"""``python -m transformers.onnx`` took it, and so does the call of that name here. Translations of this project are
registered for it and later ones."""

FIRST_LOADED_OPSET, LAST_LOADED_OPSET = 7, 26
"""ONNX Runtime guarantees the first and later ones; the last is that of 1.31."""
