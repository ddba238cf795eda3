"""The names of a loaded model's tensors, and which of a checkpoint's belong to them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch


@dataclass(frozen=True)
class LoadedNames:
    """The names that ``model`` has, and which of them loading found ``missing`` in the checkpoint."""

    model: Any
    missing: Collection[str]

    @cached_property
    def expected(self) -> dict[str, torch.Tensor]:
        """Parameters and buffers by name."""
        return dict(self.model.state_dict())

    @cached_property
    def _prefix(self) -> str:
        return getattr(self.model, "base_model_prefix", "") or ""

    def spellings(self, name: str) -> tuple[str, ...]:
        """A name with and without the name of the base model, as transformers looks for it."""
        prefix = f"{self._prefix}."
        return (name, name.removeprefix(prefix), prefix + name) if self._prefix else (name,)

    def own_name(self, name: str) -> str | None:
        """What the model itself calls a tensor of the checkpoint; None where it has none of that name."""
        return next((spelling for spelling in self.spellings(name) if spelling in self.expected), None)

    @cached_property
    def buffers(self) -> set[str]:
        """Names of what the model computes itself."""
        return {name for name, _ in self.model.named_buffers()}

    @cached_property
    def _loaded_modules(self) -> set[str]:
        return {name.rpartition(".")[0] for name in self.expected if name not in self.missing} - {""}

    def has_loaded_layer(self, name: str) -> bool:
        """Whether a tensor lies beside a loaded one, or below a layer that has no layers of its own."""
        parent = name.rpartition(".")[0]
        for spelling in self.spellings(parent):
            if spelling in self._loaded_modules:
                return True
        above = {ancestor for spelling in self.spellings(parent) for ancestor in _ancestors(spelling)}
        return any(place in self._loaded_modules and self._is_leaf(place) for place in above)

    def _is_leaf(self, place: str) -> bool:
        return not any(name.startswith(f"{place}.") for name in self._loaded_modules)


def _ancestors(place: str) -> Iterator[str]:
    while place:
        yield place
        place = place.rpartition(".")[0]
