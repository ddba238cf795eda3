"""While a model is loaded nothing is fetched: its files lie in its folder, and names in them mean nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from huggingface_hub import HfApi, constants


@contextmanager
def offline() -> Iterator[None]:
    """The Hub is out of reach, and no name is that of a repository there.

    ``local_files_only`` does not reach what a configuration loads by itself: transformers (5.0 to 5.23) asks the Hub
    for a repository of the name that ``backbone`` has, and fetches it without a pin.
    """
    before = constants.HF_HUB_OFFLINE, HfApi.repo_exists
    constants.HF_HUB_OFFLINE, HfApi.repo_exists = True, _no_repository  # type: ignore[method-assign]
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, HfApi.repo_exists = before  # type: ignore[method-assign]


def _no_repository(*_: Any, **__: Any) -> bool:
    return False
