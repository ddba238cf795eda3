"""``config.json`` as transformers reads it: other names of attributes, defaults, parts with a type of their own."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeGuard

from onnx_export_hooks.findings import Finding
from onnx_export_hooks.json_document import JsonDocument, read_json
from onnx_export_hooks.model_types import ModelType, model_type

MAX_PARTS_DEPTH = 3
TEXT_PARTS = ("text_config", "decoder", "language_config", "llm_config", "text_encoder")
_NO_TYPE = ModelType()


class ModelConfig:
    """One configuration, or a part of one. ``model_type`` is None where the file gives no text for it."""

    def __init__(
        self, document: JsonDocument, values: dict[str, Any], steps: tuple[str, ...] = (), known_as: str | None = None
    ) -> None:
        self.document = document
        self.values = values
        self.steps = steps
        written = values.get("model_type")
        self.model_type = written if isinstance(written, str) and written else known_as
        self.facts = (model_type(self.model_type) if self.model_type else None) or _NO_TYPE

    def written(self, name: str) -> str | None:
        """The key under which the file gives the attribute, None where it does not."""
        return next((key for key in self._spellings(name) if self.values.get(key) is not None), None)

    def get(self, name: str) -> Any:
        """The attribute as transformers would have it: the file's value, else the type's default, else None."""
        key = self.written(name)
        if key is not None:
            return self.values[key]
        if name in self.values:  # null in the file overrides the default
            return None
        return next((self.facts.defaults[key] for key in self._spellings(name) if key in self.facts.defaults), None)

    def size(self, name: str) -> int | None:
        """The attribute where it is a whole number of at least 1."""
        value = self.get(name)
        return value if is_whole(value) and value >= 1 else None

    def finding(self, rule: str, name: str, message: str, hint: str | None = None) -> Finding:
        """A finding at the attribute, or at the part it is missing from."""
        return self.document.finding(rule, (*self.steps, self.written(name) or name), message, hint)

    @functools.cached_property
    def parts(self) -> dict[str, ModelConfig]:
        """The configurations inside this one: ``text_config``, ``vision_config``, ``encoder`` ..."""
        if len(self.steps) >= MAX_PARTS_DEPTH:
            return {}
        return {
            key: ModelConfig(self.document, value, (*self.steps, key), self.facts.parts.get(key))
            for key, value in self.values.items()
            if isinstance(value, dict) and (key in self.facts.parts or isinstance(value.get("model_type"), str))
        }

    def all_parts(self) -> Iterator[ModelConfig]:
        """This configuration, then its parts and theirs."""
        yield self
        for part in self.parts.values():
            yield from part.all_parts()

    def text(self) -> ModelConfig:
        """The part that reads or writes text: this one, where it has a vocabulary of its own."""
        if self.written("vocab_size") is not None:
            return self
        part = next((self.parts[key] for key in TEXT_PARTS if key in self.parts), None)
        return self if part is None else part.text()

    def has_default(self, name: str, value: Any) -> bool:
        """Whether the model type itself has this value."""
        return any(self.facts.defaults.get(key) == value for key in self._spellings(name))

    def architectures(self) -> list[str]:
        """The model classes that the file names."""
        listed = self.values.get("architectures")
        return [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []

    def as_object(self) -> SimpleNamespace:
        """What an OnnxConfig reads: attributes under every name of theirs, the parts as objects too."""
        attributes: dict[str, Any] = dict.fromkeys(self.facts.others) | self.facts.defaults | self.values
        for name in self.facts.attribute_map:
            attributes[name] = self.get(name)
        for key, part_type in self.facts.parts.items():
            if key not in self.parts:
                attributes[key] = ModelConfig(self.document, {}, (*self.steps, key), part_type).as_object()
        attributes |= {key: part.as_object() for key, part in self.parts.items()}
        attributes["model_type"] = self.model_type
        attributes["num_labels"] = self.num_labels()
        return SimpleNamespace(**attributes)

    def num_labels(self) -> int:
        """How many classes the model tells apart; 2 where the file does not say, as transformers has it."""
        names = self.values.get("id2label")
        if isinstance(names, dict) and names:
            return len(names)
        count = self.values.get("num_labels")
        return count if is_whole(count) and count >= 1 else 2

    def _spellings(self, name: str) -> tuple[str, ...]:
        mapped = self.facts.attribute_map.get(name)
        return (name,) if mapped is None else (mapped, name)


def is_whole(value: Any) -> TypeGuard[int]:
    """Whether a value is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def read_model_config(path: Path) -> tuple[ModelConfig | None, list[Finding]]:
    """Read a config.json; None where it is no JSON object."""
    document, findings = read_json(path)
    if document is None:
        return None, findings
    if not isinstance(document.value, dict):
        refused = document.finding("json-syntax", (), "a model configuration is a JSON object", "start it with {")
        return None, [*findings, refused]
    return ModelConfig(document, document.value), findings
