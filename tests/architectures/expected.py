"""What must export, read from ``expected.json``: the types and tasks of transformers.onnx and of optimum-onnx."""

from __future__ import annotations

from pathlib import Path

import msgspec

DATA = Path(__file__).with_name("expected.json")


class Pair(msgspec.Struct, frozen=True, order=True):
    """One model type and one of its tasks."""

    model_type: str
    task: str

    def __str__(self) -> str:
        return f"{self.model_type} {self.task}"


class Architecture(msgspec.Struct, frozen=True):
    """What one model type must export for; ``seed``: the guides of transformers.onnx and optimum name it."""

    tasks: list[str]
    seed: bool = False


class Expected(msgspec.Struct, frozen=True):
    """``gone``: types that transformers 5 no longer has. ``known_failures``: model type -> task -> cause."""

    note: str
    gone: list[str]
    known_failures: dict[str, dict[str, str]]
    architectures: dict[str, Architecture]

    def pairs(self, *, only: list[str] | None = None) -> list[Pair]:
        """Every pair that must export, of the types in ``only`` where it is given."""
        return [
            Pair(model_type, task)
            for model_type, architecture in self.architectures.items()
            if not only or model_type in only
            for task in architecture.tasks
        ]

    def is_seed(self, pair: Pair) -> bool:
        """Whether a guide names the pair's model type."""
        return self.architectures[pair.model_type].seed

    def known_failure(self, pair: Pair) -> str | None:
        """Why the pair is known to fail, None where it must pass."""
        return self.known_failures.get(pair.model_type, {}).get(pair.task)


def read_expected() -> Expected:
    """The data file, checked."""
    return msgspec.json.decode(DATA.read_bytes(), type=Expected)
