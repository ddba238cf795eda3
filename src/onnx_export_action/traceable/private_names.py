"""Private names of torch and transformers: which ones this project uses or replaces, and the versions that have them.

Such a name goes without notice, so each stands here or in the file of the patch that replaces it, with the versions
that it is for, and is looked up only when it is needed: a patch for a model imports no code of another. What the
installed version should have and has not is an error that says so; a test walks :func:`register` over the rooms that
may have such names, ``traceable`` and ``exporting.engines``.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from types import ModuleType
from typing import Any, TypeVar

from packaging.specifiers import SpecifierSet

from onnx_export_action.onnx_config.base import PatchingSpec
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.results import Stage

_ABSENT = object()

T = TypeVar("T")


@dataclass(frozen=True)
class PrivateName:
    """A dotted path into a package.

    ``versions`` are those that it is for (``>=5.4,<5.9``), all that are supported if empty.
    """

    path: str
    versions: str = ""

    @property
    def package(self) -> str:
        """The name of the package, under which it is installed too."""
        return self.path.partition(".")[0]

    @property
    def is_for_installed(self) -> bool:
        """Whether the installed version is one of them."""
        return _is_installed(self.package, self.versions)

    def owner(self) -> tuple[Any, str]:
        """The module or class that has it, and its name there.

        Raises:
            ExportError: the installed version has no such name.
        """
        found, names = _longest_module(self.path)
        for name in names[:-1]:
            found = getattr(found, name, None)
        if found is None or not names or not hasattr(found, names[-1]):
            raise ExportError(
                f"{self.package} {version(self.package)} has no {self.path} any more, which this model's export needs",
                stage=Stage.EXPORT,
                hint=f"install a version of {self.package} that is supported, and report this one",
            )
        return found, names[-1]

    def find(self) -> Any:
        """What has the name.

        Raises:
            ExportError: the installed version has no such name.
        """
        return getattr(*self.owner())


def by_version(package: str, choices: Mapping[str, T]) -> T:
    """Of ``choices``, by versions of a package (``>=5.23``), the one for the installed version.

    Raises:
        ExportError: the installed version is in none.
    """
    for versions, choice in choices.items():
        if _is_installed(package, versions):
            return choice
    raise ExportError(
        f"{package} {version(package)} is none of {', '.join(choices)}",
        stage=Stage.EXPORT,
        hint=f"install a version of {package} that is supported",
    )


def _is_installed(package: str, versions: str) -> bool:
    return SpecifierSet(versions).contains(version(package), prereleases=True)


@dataclass(frozen=True, kw_only=True)
class Patch(PrivateName):
    """A private function, and what stands in for it while a model is recorded.

    ``around`` says that the replacement takes the function itself first, before that function's own arguments.
    """

    replacement: Callable[..., Any]
    around: bool = False

    def spec(self) -> PatchingSpec:
        """The patch, of the function as it is installed.

        Raises:
            ExportError: the installed version has no such name.
        """
        owner, name = self.owner()
        is_static = isinstance(inspect.getattr_static(owner, name), staticmethod)
        replacement = _with_original(self.replacement, getattr(owner, name)) if self.around else self.replacement
        return PatchingSpec(owner, name, replacement, op_wrapper=staticmethod if is_static else None)


def _with_original(replacement: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    # A function and no `partial`: that would not be given the `self` of a method.
    def call(*args: Any, **kwargs: Any) -> Any:
        return replacement(original, *args, **kwargs)

    return call


def _longest_module(path: str) -> tuple[Any, list[str]]:
    """The module that the path begins with, None where not even the package is there, and the rest of it."""
    names = path.split(".")
    for end in range(len(names), 0, -1):
        try:
            return importlib.import_module(".".join(names[:end])), names[end:]
        except ModuleNotFoundError:
            continue
    return None, names


@contextmanager
def patched(patches: Iterable[Patch | PatchingSpec]) -> Iterator[None]:
    """Replace functions for a while; patches for other versions than the installed one are left out.

    Raises:
        ExportError: the installed version does not have what a patch for it replaces.
    """
    with ExitStack() as stack:
        for patch in patches:
            if isinstance(patch, PatchingSpec):
                stack.enter_context(_replaced(patch))
            elif patch.is_for_installed:
                stack.enter_context(_replaced(patch.spec()))
        yield


@contextmanager
def _replaced(spec: PatchingSpec) -> Iterator[None]:
    own = getattr(spec.o, "__dict__", {}).get(
        spec.name, _ABSENT
    )  # as it stands there: `getattr` would unwrap a static method
    setattr(spec.o, spec.name, spec.custom_op if spec.op_wrapper is None else spec.op_wrapper(spec.custom_op))
    try:
        yield
    finally:
        if spec.orig_op is not None:
            setattr(spec.o, spec.name, spec.orig_op if spec.op_wrapper is None else spec.op_wrapper(spec.orig_op))
        elif own is _ABSENT:
            delattr(spec.o, spec.name)
        else:
            setattr(spec.o, spec.name, own)


# What torch has no public name for, and float64 arithmetic of the reference is made of.
DISPATCH_MODE = PrivateName("torch.utils._python_dispatch.TorchDispatchMode")
TREE_MAP = PrivateName("torch.utils._pytree.tree_map_only")
GROUPED_PRODUCT = PrivateName("torch.ops.aten._grouped_mm")


def _torch(module: str, *names: str) -> tuple[PrivateName, ...]:
    return tuple(PrivateName(f"torch.{module}.{name}") for name in names)


USED = (
    *_torch("autograd.function", "_SingleLevelFunction"),
    *_torch(
        "onnx.symbolic_helper",
        "_get_tensor_dim_size",
        "_get_tensor_rank",
        "_is_none",
        "_is_packed_list",
        "_maybe_get_const",
        "_reducesum_helper",
        "_reshape_helper",
        "_slice_helper",
        "_squeeze_helper",
        "_unimplemented",
        "_unpack_list",
        "_unsqueeze_helper",
    ),
)
"""Names of torch that code in these rooms uses as they are."""


def register(*packages: ModuleType) -> list[PrivateName]:
    """Every private name that the modules of these packages declare: those that are used, and those replaced."""
    found: list[PrivateName] = []
    for package in packages:
        for module in _modules(package):
            found += getattr(module, "PATCHES", ())
            found += getattr(module, "USED", ())
            found += [value for value in vars(module).values() if isinstance(value, PrivateName)]
    return list(dict.fromkeys(found))


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    yield package
    for one in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(one.name)
