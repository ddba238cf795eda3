"""The rules of the house: its rooms from the top floor down, what each may import, and how large things may grow.

The one table that the tests (tests/unit/test_house.py), the report of `make lint` (tools/house_report.py) and the page
docs/architecture.md read.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE, HOOKS_PACKAGE = "onnx_export_action", "onnx_export_hooks"
SOURCES = (ROOT / "src" / PACKAGE, ROOT / "hooks" / HOOKS_PACKAGE)
FACE = "(package)"  # __init__ and __main__: the names that users import, and `python -m`

# A light room imports without these: a hook or a report job does not have them.
HEAVY = ("torch", "transformers", "onnxruntime", "onnx", "numpy", "huggingface_hub", "safetensors")

# A foreign thing that may change has one place: the folders and files of the package that import it.
FOREIGN = {
    "actions_toolkit": ("entrypoints/github/toolkit.py",),
    "github": ("entrypoints/github/api.py", "entrypoints/github/comments.py"),
    "huggingface_hub": ("hub/", "loading/"),
    "transformers.exporters": ("exporting/engines/torch_export.py",),
}

FILES_OF_A_FOLDER = 14
LINES_OF_A_FILE = 450
LINES_OF_A_CLASS = 160


@dataclass(frozen=True)
class Room:
    """A folder of the package: what it knows, and the rooms below that it uses.

    A ``light`` room imports nothing heavy; of one that is not, ``light_modules`` are the exceptions, whose types the
    parent process speaks. ``heavy_modules`` are those of a light room that load torch when a user calls for them.
    """

    name: str
    knows: str
    uses: tuple[str, ...]
    light: bool = True
    light_modules: tuple[str, ...] = ()
    heavy_modules: tuple[str, ...] = ()


ROOMS = (
    Room(
        FACE,
        "the public names of the library, and `python -m onnx_export_action`",
        ("entrypoints", "onnx_config", "isolation", "vocabulary"),
    ),
    Room(
        "entrypoints",
        "what people call: the command line (one file a command), the step of GitHub Actions, the library, the call "
        "that `transformers.onnx` had, and `init`",
        (
            "hooks",
            "pipeline",
            "hub",
            "report",
            "judging",
            "proving",
            "exporting",
            "traceable",
            "project",
            "onnx_config",
            "isolation",
            "vocabulary",
        ),
        heavy_modules=("entrypoints.library",),
    ),
    Room(
        "hooks",
        "the hooks of pre-commit, one module a hook; rules are data",
        ("graphs", "project", "onnx_config", "isolation", "vocabulary"),
    ),
    Room(
        "pipeline",
        "planning, running, checking (one loop for `run` and `validate`), variants, publishing; staging and installing",
        (
            "hub",
            "judging",
            "proving",
            "variants",
            "exporting",
            "loading",
            "project",
            "processes",
            "onnx_config",
            "vocabulary",
        ),
    ),
    Room("hub", "what may be published, one commit, the model card", ("report", "project", "vocabulary")),
    Room(
        "report",
        "results as Markdown, HTML and JSON; it formats numbers and decides nothing",
        ("judging", "project", "vocabulary"),
    ),
    Room("judging", "one verdict over many results: policy, comparison with a base", ("vocabulary",)),
    Room(
        "proving",
        "whether a file computes what PyTorch computes: cases, reference, candidate, measures, precision, generation, "
        "and why it does not",
        ("loading", "configuring", "traceable", "graphs", "project", "onnx_config", "vocabulary"),
        light=False,
        light_modules=("proving.records",),
    ),
    Room(
        "variants",
        "from a proven fp32 file to every other precision and form",
        ("graphs", "vocabulary"),
        light=False,
    ),
    Room(
        "exporting",
        "from a model in memory to ONNX files; the engines behind one small interface",
        ("loading", "configuring", "traceable", "graphs", "project", "onnx_config", "vocabulary"),
        light=False,
        light_modules=(
            "exporting.companions",
            "exporting.companions.facts",
            "exporting.companions.onnxruntime_genai",
            "exporting.companions.transformers_js",
        ),
    ),
    Room(
        "loading",
        "from a folder or the Hub to a model in memory",
        ("configuring", "traceable", "project", "onnx_config", "vocabulary"),
        light=False,
        light_modules=("loading.source",),
    ),
    Room(
        "configuring",
        "which configuration a model has: registered, inferred from runs, declared by the user, a class of the "
        "repository",
        ("traceable", "project", "onnx_config", "vocabulary"),
        light=False,
    ),
    Room(
        "traceable",
        "what is changed so that a graph can be recorded; `models/NAME.py` is what is special about one model",
        ("onnx_config", "vocabulary"),
        light=False,
    ),
    Room(
        "graphs",
        "ONNX graphs as data: reading by the wire format, weightless graphs, merging, passes",
        ("vocabulary",),
        light=False,
        light_modules=("graphs.reader", "graphs.torchscript_signature"),
    ),
    Room(
        "project",
        "`onnx-export.yaml`, samples, the plan of changes, manifests, folders of other libraries",
        ("onnx_config", "isolation", "vocabulary"),
    ),
    Room(
        "processes",
        "processes of their own for what runs a model: starting, asking, limiting and ending them",
        ("isolation", "vocabulary"),
    ),
    Room(
        "onnx_config",
        "(public) the configuration classes: base, modalities, registry, tasks, axis names, one short class a type",
        ("vocabulary",),
    ),
    Room(
        "isolation",
        "what a process may import, find in its environment, start and read, whatever the working folder holds",
        ("vocabulary",),
    ),
    Room(
        "vocabulary",
        "the words that all rooms share: results, errors, options, the manifest's records, variants, names of files",
        (),
    ),
)
BY_NAME = {room.name: room for room in ROOMS}
_OWN_NAME = re.compile(rf"({PACKAGE}|{HOOKS_PACKAGE})((?:\.\w+)*)(?::\w+)?")


@dataclass(frozen=True)
class Arrow:
    """An import, or a module named in a string for a process of its own to import."""

    path: Path
    line: int
    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.source} uses {self.target}"


def modules() -> Iterator[tuple[str, Path]]:
    """Every module by its name below the package (``entrypoints.library``), those of the hooks below ``hooks``."""
    for source in SOURCES:
        for path in sorted(source.rglob("*.py")):
            parts = path.relative_to(source).with_suffix("").parts
            kept = parts[:-1] if parts[-1] == "__init__" else parts
            yield ".".join(kept if source is SOURCES[0] else ("hooks", *kept)), path


def room_of(module: str) -> str:
    """The room of a module of :func:`modules`."""
    room = module.partition(".")[0]
    return room if room in BY_NAME else FACE


def arrows() -> list[Arrow]:
    """Every arrow from one room to another."""
    return [
        Arrow(path, line, room_of(module), target)
        for module, path in modules()
        for line, target in _used(path)
        if target != room_of(module)
    ]


def _used(path: Path) -> Iterator[tuple[int, str]]:
    """The rooms that a file names, with the lines, wherever in the file that is."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for line, name in (*_imported(tree), *_strings(tree)):
        match = _OWN_NAME.fullmatch(name)
        if match:
            yield line, "hooks" if match[1] == HOOKS_PACKAGE else room_of(match[2].strip("."))


def _imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            yield from ((node.lineno, f"{PACKAGE}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""


def _strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            yield node.lineno, node.value


def strangers() -> Iterator[str]:
    """Every import of a foreign thing outside its place."""
    source = SOURCES[0]
    for path in sorted(source.rglob("*.py")):
        place = path.relative_to(source).as_posix()
        for line, name in _imported(ast.parse(path.read_text(encoding="utf-8"))):
            for thing, places in FOREIGN.items():
                if f"{name}.".startswith(f"{thing}.") and not place.startswith(places):
                    yield f"{path.relative_to(ROOT)}:{line}: {thing}"


def floors() -> dict[str, int]:
    """The floor of each room: one above the highest room that it uses, the lowest being 1."""
    found: dict[str, int] = {}
    for room in reversed(ROOMS):
        found[room.name] = 1 + max((found[name] for name in room.uses), default=0)
    return found


@dataclass(frozen=True)
class Size:
    """How large something is beside what is allowed."""

    what: str
    size: int
    limit: int


def sizes() -> Iterator[Size]:
    """Every folder, file and class of ``src`` with its size: files of a folder, lines of a file, lines of a class."""
    source = SOURCES[0]
    for folder in (source, *sorted(path for path in source.rglob("*") if path.is_dir())):
        files = list(folder.glob("*.py"))
        if files:
            yield Size(f"{folder.relative_to(ROOT)}/", len(files), FILES_OF_A_FOLDER)
    for path in sorted(source.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        yield Size(str(path.relative_to(ROOT)), text.count("\n"), LINES_OF_A_FILE)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef) and node.end_lineno is not None:
                where = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
                yield Size(where, node.end_lineno - node.lineno + 1, LINES_OF_A_CLASS)
