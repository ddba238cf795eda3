"""The hooks stay out of the way in a repository of 200 models.

Processor seconds, as other work on the machine does not count there; twice the target of the wall time for those of a
slower machine. benchmarks/time_hooks.py has the figures.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmarks.time_hooks import CHANGED, seconds, write_many_models


@pytest.fixture(scope="module")
def many_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_many_models(tmp_path_factory.mktemp("many") / "repository")


@pytest.mark.parametrize(("hook", "file"), CHANGED.items())
def test_one_changed_file_among_200_models(hook: str, file: str, many_models: Path) -> None:
    assert min(seconds(sys.executable, hook, file, many_models)[1] for _ in range(3)) < 0.4


@pytest.mark.parametrize("hook", CHANGED)
def test_all_of_200_models(hook: str, many_models: Path) -> None:
    assert seconds(sys.executable, hook, ".", many_models)[1] < 2
