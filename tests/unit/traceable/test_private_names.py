"""Private names of torch and transformers: what is registered is there, and nothing else is used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging import version

import onnx_export_action
from onnx_export_action import traceable
from onnx_export_action.exporting import engines
from onnx_export_action.onnx_config.base import PatchingSpec
from onnx_export_action.traceable.private_names import Patch, PrivateName, by_version, patched, register
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.results import Stage

SOURCES = Path(onnx_export_action.__file__).parent
PACKAGES = ("torch", "transformers")
ROOMS = ("traceable", "exporting/engines")
REGISTER = register(traceable, engines)


@pytest.mark.parametrize("name", [name for name in REGISTER if name.is_for_installed], ids=lambda name: name.path)
def test_a_registered_name_for_the_installed_version_is_there(name: PrivateName) -> None:
    name.find()


def test_most_of_the_register_is_for_the_installed_versions() -> None:
    others = [name for name in REGISTER if not name.is_for_installed]
    assert all(name.versions for name in others)
    assert len(others) < len(REGISTER) / 4


def private_names_in(file: Path) -> Iterator[str]:
    """Dotted paths into torch and transformers with a private part, as the file's imports say what its names are."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                known[alias.asname or whole] = whole
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    paths = (path for node in ast.walk(tree) if (path := dotted(node, known)) is not None)
    for path in {*paths, *known.values()}:
        parts = path.split(".")
        if parts[0] in PACKAGES and any(part.startswith("_") and not part.startswith("__") for part in parts):
            yield path


def dotted(node: ast.AST, known: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute):
        before = dotted(node.value, known)
        return None if before is None else f"{before}.{node.attr}"
    return None


def is_part(path: str, of: str) -> bool:
    return f"{of}.".startswith(f"{path}.")


def test_private_names_are_found_however_they_are_imported(tmp_path: Path) -> None:
    (tmp_path / "file.py").write_text(
        "import torch\nimport torch.onnx as exporter\nfrom transformers import masking_utils as masks\n"
        "from transformers.utils import _private\ntorch._C.jit(1)\nexporter._internal\nmasks._all\ntorch.__version__\n"
    )
    assert set(private_names_in(tmp_path / "file.py")) == {
        "torch._C",
        "torch._C.jit",
        "torch.onnx._internal",
        "transformers.masking_utils._all",
        "transformers.utils._private",
    }


@pytest.mark.parametrize("file", sorted(SOURCES.rglob("*.py")), ids=lambda file: file.relative_to(SOURCES).as_posix())
def test_a_private_name_that_code_uses_is_registered_and_in_these_rooms(file: Path) -> None:
    registered = [name.path for name in REGISTER]
    found = set(private_names_in(file))
    inside = any(file.is_relative_to(SOURCES / room) for room in ROOMS)
    assert inside or not found
    assert {
        path for path in found if not any(is_part(path, name) or is_part(name, path) for name in registered)
    } == set()


# Names of a package that is no private one stand for those that are.
PARSE = "packaging.version.parse"


def test_a_patch_replaces_for_a_while() -> None:
    original = version.parse
    with patched([Patch(PARSE, replacement=str.upper)]):
        assert version.parse("1.0rc1") == "1.0RC1"
    assert version.parse is original


def test_a_patch_around_a_function_is_given_it() -> None:
    with patched([Patch(PARSE, replacement=lambda parse, text: parse(text).major, around=True)]):
        assert version.parse("3.1") == 3


def test_what_a_patch_replaces_is_put_back_after_an_error() -> None:
    original = version.parse
    with pytest.raises(ZeroDivisionError), patched([Patch(PARSE, replacement=str)]):
        _ = 1 / 0
    assert version.parse is original


def test_a_patch_for_other_versions_is_left_out_whatever_it_names() -> None:
    with patched([Patch("packaging.no_such_module.function", versions="<1", replacement=str)]):
        pass


@pytest.mark.parametrize(
    "path", ["packaging.no_such_module.function", "packaging.version.no_such_function", "packaging.version.Version.no"]
)
def test_what_the_installed_version_should_have_and_has_not_is_an_error(path: str) -> None:
    said = rf"packaging {metadata.version('packaging')} has no {path}"
    with (
        pytest.raises(ExportError, match=said) as caught,
        patched([Patch(path, versions=">=1", replacement=str)]),
    ):
        pass
    assert caught.value.stage is Stage.EXPORT
    assert caught.value.hint is not None


def test_what_is_for_the_installed_version_is_chosen() -> None:
    assert by_version("packaging", {"<1": "old", ">=1": "new"}) == "new"
    with pytest.raises(ExportError, match="is none of <1, >=1000"):
        by_version("packaging", {"<1": 1, ">=1000": 2})


class Base:
    def inherited(self) -> str:
        return "base"

    @staticmethod
    def static(given: str) -> str:
        return given


class Derived(Base):
    pass


def test_an_inherited_function_is_not_left_behind_in_the_class() -> None:
    with patched([PatchingSpec(Derived, "inherited", lambda self: "other")]):
        assert Derived().inherited() == "other"
        assert Base().inherited() == "base"
    assert "inherited" not in vars(Derived)
    assert Derived().inherited() == "base"


def test_a_static_method_stays_one() -> None:
    with patched([Patch(f"{__name__}.Base.static", versions="", replacement=str.upper).spec()]):
        assert Base().static("a") == Base.static("a") == "A"
    assert Base().static("a") == Base.static("a") == "a"
    assert isinstance(vars(Base)["static"], staticmethod)
