"""Operator sets of ai.onnx that this project writes and the runtime loads; `engines` says what each engine writes."""

from __future__ import annotations

DEFAULT_OPSET = 18
MIN_OPSET, MAX_OPSET = 14, 23
"""What settings, commands and inputs of the action may ask for."""

LOWEST_OPSET = 11
"""``python -m transformers.onnx`` took it, and so does the call of that name here. Translations of this project are
registered for it and later ones."""

USUAL_OPSET_OF_CONVERT = 12
"""What ``convert_to_onnx`` writes where nobody says otherwise, as the function of that name did before."""

FIRST_LOADED_OPSET, LAST_LOADED_OPSET = 7, 26
"""ONNX Runtime guarantees the first and later ones; the last is that of 1.31."""
