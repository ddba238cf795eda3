"""Fixtures that several tiers of tests share."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub_server import HubServer
from tests.models import Storage, tiny_checkpoint

CheckpointFactory = Callable[..., Path]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> CheckpointFactory:
    """``checkpoint("bert", task=..., storage=..., seed=..., **config)``: a tiny checkpoint, made once in a session.

    All tests share the folder: read it only, or ask for ``own_checkpoint``.
    """
    root = tmp_path_factory.mktemp("checkpoints")
    made: dict[str, Path] = {}

    def make(kind: str, *, storage: Storage | str = Storage.SAFETENSORS, **options: Any) -> Path:
        key = repr((kind, Storage(storage).value, sorted(options.items())))
        if key not in made:
            made[key] = tiny_checkpoint(kind, root / str(len(made)) / kind, storage=storage, **options)
        return made[key]

    return make


@pytest.fixture
def own_checkpoint(checkpoint: CheckpointFactory, tmp_path: Path) -> CheckpointFactory:
    """The same in a folder of the test's own, free to be broken."""

    def copy(kind: str, **options: object) -> Path:
        source = checkpoint(kind, **options)
        folder = tmp_path / "models" / f"{kind}-{len(list(tmp_path.glob('models/*')))}"
        return Path(shutil.copytree(source, folder))

    return copy


@pytest.fixture
def hub_server() -> Iterator[HubServer]:
    """An empty local Hub; a process that is to use it gets ``hub_server.environment(home)``."""
    with HubServer() as server:
        yield server
