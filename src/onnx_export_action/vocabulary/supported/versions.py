"""The packages that an export is made with: which versions this project supports, and which are here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version

NEEDED: Mapping[str, str] = {
    "torch": ">=2.13",
    "transformers": ">=5.15,<6",
    "onnx": ">=1.17",
    "onnxruntime": ">=1.20",
}
"""What every export needs, with the versions of pyproject.toml."""

SHAPING_PACKAGES = (*NEEDED, "onnxscript")
"""What decides how a file comes out."""

RECORDED_PACKAGES = (*SHAPING_PACKAGES, "numpy", "safetensors", "tokenizers")
"""What a manifest and a result name with their versions."""

_BOUND = re.compile(r"(>=|<)([\d.]+)")


def installed_packages() -> dict[str, str]:
    """Versions of the packages that a manifest records."""
    return {name: found for name in RECORDED_PACKAGES if (found := installed_version(name)) is not None}


def missing_packages() -> list[str]:
    """What every export needs and this environment does not have, in words: ``torch``, ``transformers>=5.15,<6``."""
    return list(_missing())


def _missing() -> Iterator[str]:
    for name, bounds in NEEDED.items():
        found = installed_version(name)
        if found is None:
            yield name
        elif not _within(found, bounds):
            yield f"{name}{bounds} (it is {found})"


def installed_version(name: str) -> str | None:
    """The version of a package; None where it is not here."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _within(found: str, bounds: str) -> bool:
    numbers = _numbers(found)
    return all(
        numbers >= _numbers(bound) if sign == ">=" else numbers < _numbers(bound)
        for sign, bound in _BOUND.findall(bounds)
    )


def _numbers(release: str) -> tuple[int, ...]:
    """``2.13.0+cpu`` -> (2, 13, 0): as far as it is made of numbers; a first candidate counts as the release."""
    leading = re.match(r"\d+(?:\.\d+)*", release)
    return tuple(int(number) for number in leading[0].split(".")) if leading else ()
