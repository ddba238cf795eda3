"""The types of what goes into a model and comes out of it."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]
"""Inputs or outputs by name."""
