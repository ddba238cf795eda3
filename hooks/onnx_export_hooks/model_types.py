"""What transformers knows of its model types, as a table: the hooks run without transformers.

``tools/describe_model_types.py`` writes the table from the newest supported transformers.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

_TABLE = Path(__file__).with_name("model_types.json")


class ModelType(msgspec.Struct, frozen=True):
    """One model type. ``attribute_map`` is name in code -> name in the file; ``parts`` is key -> its model type.

    ``defaults`` are what transformers takes where config.json says nothing; ``others`` have no plain default.
    """

    attribute_map: dict[str, str] = {}
    parts: dict[str, str] = {}
    defaults: dict[str, Any] = {}
    others: list[str] = []

    def attributes(self) -> set[str]:
        """Every name that config.json may use for something of this model type."""
        return {*self.defaults, *self.others, *self.parts, *self.attribute_map, *self.attribute_map.values()}


class _Table(msgspec.Struct):
    transformers: str
    shared: list[str]
    model_types: dict[str, msgspec.Raw]


@functools.cache
def _table() -> _Table:
    return msgspec.json.decode(_TABLE.read_bytes(), type=_Table)


@functools.cache
def model_type(name: str) -> ModelType | None:
    """The facts about a model type, None where transformers has none of that name."""
    raw = _table().model_types.get(name)
    return None if raw is None else msgspec.json.decode(raw, type=ModelType)


def model_type_names() -> Collection[str]:
    """Every model type of transformers."""
    return _table().model_types.keys()


def shared_attributes() -> list[str]:
    """Attributes that every configuration has."""
    return _table().shared


def transformers_version() -> str:
    """The version that the table was made from."""
    return _table().transformers
