"""From the keys of one target to a :class:`Target`: paths, Hub ids, and what one key means for another.

Everything a target names comes from a pull request: a path never leaves the repository, through ``..`` or a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from onnx_export_action.project.document import Entry, Node
from onnx_export_action.project.places import lies_in_a_folder, missing_folder_hint, neighbour_hint
from onnx_export_action.project.settings_schema import CLASS_PATTERN, OF_VARIANTS
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.declarations import ConfigurationClass, Declaration, DeclaredAxis, DeclaredTensor
from onnx_export_action.vocabulary.engines import TORCH_EXPORT_MIN_OPSET, TRACER_MAX_OPSET, Engine
from onnx_export_action.vocabulary.errors import plan_error
from onnx_export_action.vocabulary.options import ExportOptions, LatencyBounds, OutputTolerance, Tolerances
from onnx_export_action.vocabulary.problems import Problem, nearest, quoted
from onnx_export_action.vocabulary.results import FailOn
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT

SAMPLE_SUFFIXES = (".jsonl", ".txt", ".csv")

# huggingface_hub's validate_repo_id: letters, digits, '-', '_', '.', each part bounded by a word character.
_HUB_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_HUB_ID = re.compile(rf"(?!.*(?:--|\.\.))(?!.*\.git$)(?:{_HUB_NAME}/)?{_HUB_NAME}")
_HUB_URL = re.compile(rf"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/({_HUB_NAME}/{_HUB_NAME})(?:/.*)?")
_NOT_RELATIVE = re.compile(r"[/~\\]|[A-Za-z]:[\\/]")


class PublishSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The section ``publish`` of a target."""

    repo: str
    revision: str = "main"
    create_pr: bool = False
    tag: str | None = None
    private: bool = False


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of ``targets`` with the defaults merged in.

    ``model`` is as written; ``folder`` is its resolved folder, None for a Hub id. ``output`` is resolved too. ``task``
    is ``auto`` or the Hub's name of the task. ``line`` is where the target starts. ``notes`` is what a report should
    say of the choices made.
    """

    name: str
    model: str
    line: int
    output: Path
    folder: Path | None = None
    revision: str | None = None
    task: str = "auto"
    options: ExportOptions = ExportOptions()
    fail_on: FailOn = FailOn.VALIDATION
    publish: PublishSettings | None = None
    notes: list[str] = []


class TargetFields:
    """The usable keys of one target: its own, else the default's. A key with a mistake inside is absent."""

    def __init__(self, place: Node, own: dict[str, Entry], defaults: dict[str, Entry]) -> None:
        self.place = place
        self.own = own
        self._entries = defaults | own

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def writes(self, key: str) -> bool:
        """Whether the target itself has the key, usable or not."""
        return isinstance(self.place.value, dict) and key in self.place.value

    def node(self, key: str) -> Node:
        """The value's node, or the target's where the key is absent."""
        return self._entries[key].node if key in self._entries else self.place

    def text(self, key: str) -> str | None:
        """A text value, None where the key is absent."""
        value = self.node(key).value if key in self else None
        return value if isinstance(value, str) else None

    def plain(self, key: str) -> Any:
        """The value as the schema allows it."""
        return self.node(key).plain()


class TargetReader:
    """Reads the targets of one file; ``problems`` collects what is wrong with them."""

    def __init__(self, path: Path) -> None:
        self.problems: list[Problem] = []
        self._path = path
        self._base = path.parent.resolve()
        self._repository = repository_of(path)
        self._owner_of_name: dict[str, Node] = {}
        self._sources: list[Path] = [self._base]
        self._outputs: list[tuple[str, Path, Node]] = []

    def read(self, fields: TargetFields) -> Target | None:
        """One target, None when its name, model or output is missing or wrong."""
        name = self._name(fields)
        folder, notes = self._model(fields)
        samples = self._samples(fields)
        output = None if name is None else self._output(fields, name)
        self._check_engine(fields)
        self._check_variants(fields)
        model = fields.text("model")
        if name is None or model is None or output is None:
            return None
        return Target(
            name=name,
            model=model,
            line=fields.place.line,
            output=output,
            folder=folder,
            revision=fields.text("revision"),
            task=_task(fields),
            options=self._options(fields, samples),
            notes=[*notes, *_variant_notes(fields)],
            publish=self._publish(fields),
            fail_on=FailOn(fields.plain("fail_on")) if "fail_on" in fields else FailOn.VALIDATION,
        )

    def _options(self, fields: TargetFields, samples: Path | None) -> ExportOptions:
        copied = ("opset", "shard_bytes")
        return ExportOptions(
            weights=Weights(fields.text("weights") or Weights.LOAD),
            engine=Engine(fields.text("engine") or Engine.AUTO),
            samples=samples,
            variants=_variants(fields),
            shapes=_shapes(fields),
            tolerance=Tolerances(of_variants=_tolerance(fields)),
            high_precision=_high_precision(fields),
            latency=_latency(fields),
            declaration=self._declaration(fields),
            **{key: fields.plain(key) for key in copied if key in fields},
        )

    def check_outputs(self) -> None:
        """No two targets write into each other's folder, and none over a model, samples or the settings."""
        sources = {_folded(folder) for source in self._sources for folder in (source, *source.parents)}
        owners: dict[tuple[str, ...], str] = {}
        for name, output, node in self._outputs:
            if _folded(output) in sources:
                message = f"the output folder of {name} holds a model, samples or the settings"
                self._report(node, message, "give a folder apart")
            elif owners.setdefault(_folded(output), name) != name:
                message = f"the output folder of {name} is also that of {owners[_folded(output)]}"
                self._report(node, message, "give each its own 'output'")
        for name, output, node in self._outputs:
            parts = _folded(output)
            around = next((owners[parts[:end]] for end in range(1, len(parts)) if parts[:end] in owners), None)
            if around is not None:
                message = f"the output folder of {name} lies inside that of {around}"
                self._report(node, message, "give them folders side by side")

    def _name(self, fields: TargetFields) -> str | None:
        name = fields.text("name")
        if name is None:
            return None
        first = self._owner_of_name.setdefault(name.casefold(), fields.place)
        if first is fields.place:
            return name
        hint = "names must differ in more than upper and lower case"
        self._report(fields.node("name"), f"the name {quoted(name)} is already used on line {first.line}", hint)
        return None

    def _model(self, fields: TargetFields) -> tuple[Path | None, list[str]]:
        """The local folder of the model, or notes on its Hub id."""
        model, node = fields.text("model"), fields.node("model")
        if model is None:
            return None, []
        url = _HUB_URL.fullmatch(model)
        if url or "://" in model:
            self._report(node, "model is not an address", f"write {url[1]}" if url else "write a Hub id (org/name)")
            return None, []
        folder = self._inside(model, node, "model")
        if folder is None:
            return None, []
        if _is_dir(folder):
            self._sources.append(folder)
            if "revision" in fields:
                message = f"revision is for a Hub id, but model {quoted(model)} is a folder"
                self._report(fields.node("revision"), message, "remove the revision, or write the Hub id")
            return folder, []
        if model.startswith(".") or not _HUB_ID.fullmatch(model):
            hint = neighbour_hint(model, self._base) or "give a folder inside the repository, or a Hub id (org/name)"
            self._report(node, f"there is no folder {quoted(model)}", hint)
            return None, []
        if "revision" not in fields and lies_in_a_folder(model, self._base):
            self._report(node, f"there is no folder {quoted(model)}", missing_folder_hint(model, self._base))
            return None, []
        return None, list(_hub_notes(model, fields, self._base))

    def _samples(self, fields: TargetFields) -> Path | None:
        samples, node = fields.text("samples"), fields.node("samples")
        found = None if samples is None else self._inside(samples, node, "samples")
        if samples is None or found is None:
            return None
        self._sources.append(found)
        if _is_dir(found):
            return found
        if found.suffix.lower() not in SAMPLE_SUFFIXES:
            hint = f"it must be a {', '.join(SAMPLE_SUFFIXES)} file, or a folder"
            self._report(node, f"samples cannot be {quoted(samples)}", hint)
        elif not _is_file(found):
            self._report(node, f"there is no file {quoted(samples)}", neighbour_hint(samples, self._base))
        return found

    def _output(self, fields: TargetFields, name: str) -> Path | None:
        output, node = fields.text("output"), fields.node("output")
        if output is None:
            node = fields.node("name")
        resolved = self._inside(output or f"artifacts/{name}", node, "output")
        if resolved is None:
            return None
        if ".git" in _folded(resolved.relative_to(self._repository)):
            self._report(node, "output cannot lie inside .git")
        self._outputs.append((name, resolved, node))
        return resolved

    def _publish(self, fields: TargetFields) -> PublishSettings | None:
        if "publish" not in fields:
            return None
        settings = PublishSettings(**fields.plain("publish"))
        node = fields.node("publish")
        if fields.text("weights") == Weights.RANDOM:
            self._report(node, "random weights are never published", "use `weights: load`, or remove 'publish'")
        if settings.create_pr and settings.tag is not None:
            self._report(node, "a pull request has no commit to tag yet", "remove 'tag' or 'create_pr'")
        return settings

    def _declaration(self, fields: TargetFields) -> Declaration:
        """What the target declares of its inputs and outputs, or the class that says it."""
        written = fields.text("onnx_config")
        if written is None:
            return Declaration(inputs=self._tensors(fields, "inputs"), outputs=self._tensors(fields, "outputs"))
        for key in ("inputs", "outputs"):
            if key in fields:
                self._report(fields.node(key), f"{key} and onnx_config say the same thing", "give one of the two")
        found = self._configuration_class(written, fields.node("onnx_config"))
        return Declaration(configuration_class=found)

    def _configuration_class(self, written: str, node: Node) -> ConfigurationClass | None:
        parts = re.fullmatch(CLASS_PATTERN, written)
        if parts is None:
            return None
        file = self._inside(parts[1], node, "onnx_config")
        if file is None:
            return None
        if not _is_file(file):
            self._report(node, f"there is no file {quoted(parts[1])}", neighbour_hint(parts[1], self._base))
            return None
        return ConfigurationClass(file, parts[2], self._place(node))

    def _tensors(self, fields: TargetFields, key: str) -> dict[str, DeclaredTensor]:
        declared = fields.node(key).value if key in fields else None
        if not isinstance(declared, dict):
            return {}
        return {
            name: DeclaredTensor(dict(self._axes(entry.node, is_input=key == "inputs")), self._place(entry))
            for name, entry in declared.items()
        }

    def _axes(self, tensor: Node, *, is_input: bool) -> Iterator[tuple[int, DeclaredAxis]]:
        from onnx_export_action.onnx_config.axis_names import AXIS_ARGUMENTS, atomic_axes

        for number, entry in tensor.value.items() if isinstance(tensor.value, dict) else ():
            name = entry.node.value
            for part in atomic_axes(name) if isinstance(name, str) else ():
                near = nearest(part, AXIS_ARGUMENTS, cutoff=0.6 if is_input else 0.9)
                # An output may have an axis that no input has; an input's is varied by its name.
                if part not in AXIS_ARGUMENTS and (is_input or near):
                    hint = f"did you mean {quoted(near)}?" if near else f"names are {', '.join(AXIS_ARGUMENTS)}"
                    self._report(entry.node, f"unknown axis name {quoted(part)}", hint)
            if isinstance(name, str | int):
                yield int(number), DeclaredAxis(name, self._place(entry))

    def _place(self, where: Node | Entry) -> str:
        return f"{self._path}:{where.line}:{where.column}"

    def _check_engine(self, fields: TargetFields) -> None:
        if "opset" not in fields or "engine" not in fields:
            return
        opset, engine = fields.plain("opset"), fields.plain("engine")
        if engine == Engine.TRACER and opset > TRACER_MAX_OPSET:
            message = f"opset {opset} needs the engine torch-export or auto: the tracer ends at {TRACER_MAX_OPSET}"
            self._report(fields.node("opset"), message)
        if engine == Engine.TORCH_EXPORT and opset < TORCH_EXPORT_MIN_OPSET:
            message = f"opset {opset} needs the engine tracer or auto: torch-export starts at {TORCH_EXPORT_MIN_OPSET}"
            self._report(fields.node("opset"), message)

    def _check_variants(self, fields: TargetFields) -> None:
        """What the target itself says of a variant that it does not make would never be used; a default may be."""
        if "variants" not in fields and fields.writes("variants"):
            return  # there is a mistake in it, which is reported
        wanted = {REFERENCE_VARIANT, *_variants(fields)}
        for key in OF_VARIANTS:
            written = fields.own[key].node.value if key in fields.own else None
            for variant, entry in written.items() if isinstance(written, dict) else ():
                if variant not in wanted:
                    message = f"{key} is for {quoted(variant)}, which the target does not make"
                    self._report(entry, message, f"add it to 'variants: [{', '.join(_variants(fields))}]'")

    def _inside(self, written: str, node: Node, key: str) -> Path | None:
        if _NOT_RELATIVE.match(written) or "\\" in written:
            self._report(node, f"{key} must be a relative path with '/' between its parts, not {quoted(written)}")
            return None
        try:
            resolved = (self._base / written).resolve()
        except (OSError, RuntimeError) as error:  # Python 3.11 raises RuntimeError for links in a circle
            self._report(node, f"{key} {quoted(written)} cannot be followed: {quoted(str(error))}")
            return None
        if not resolved.is_relative_to(self._repository):
            self._report(node, f"{key} {quoted(written)} leads out of the repository")
            return None
        return resolved

    def _report(self, node: Node | Entry, message: str, hint: str | None = None) -> None:
        self.problems.append(Problem(str(self._path), node.line, node.column, message, hint))


def class_of_caller(written: str) -> Declaration:
    """What ``--onnx-config FILE.py:CLASS`` declares; the file lies in the current folder or below it.

    Raises:
        ExportError: there is no such file, or it lies elsewhere.
    """
    parts = re.fullmatch(CLASS_PATTERN, written)
    if parts is None:
        raise plan_error(
            f"--onnx-config cannot be {quoted(written)}", "give a relative path and a class: file.py:Class"
        )
    try:
        file = Path(parts[1]).resolve()
    except (OSError, RuntimeError) as error:  # Python 3.11 raises RuntimeError for links in a circle
        raise plan_error(f"--onnx-config {quoted(parts[1])} cannot be followed: {quoted(str(error))}") from error
    if not file.is_relative_to(Path.cwd()):
        raise plan_error(f"--onnx-config {quoted(parts[1])} leads out of the current folder")
    if not _is_file(file):
        raise plan_error(f"--onnx-config: there is no file {quoted(parts[1])}")
    return Declaration(configuration_class=ConfigurationClass(file, parts[2], "--onnx-config"))


def repository_of(path: Path) -> Path:
    """The nearest folder above ``path`` that git keeps, else the folder of ``path``; resolved."""
    base = path.parent.resolve()
    return next((folder for folder in (base, *base.parents) if (folder / ".git").exists()), base)


def _hub_notes(model: str, fields: TargetFields, base: Path) -> Iterator[str]:
    if "revision" not in fields:
        yield f"{model} has no revision: its newest commit is exported"
    if lies_in_a_folder(model, base):
        yield f"{model} is taken as a Hub id, because there is no such folder"


def _task(fields: TargetFields) -> str:
    from onnx_export_action.onnx_config.tasks import map_from_synonym

    return map_from_synonym(fields.text("task") or "auto")


def _variants(fields: TargetFields) -> tuple[str, ...]:
    return tuple(fields.plain("variants")) if "variants" in fields else (REFERENCE_VARIANT,)


def _variant_notes(fields: TargetFields) -> Iterator[str]:
    if REFERENCE_VARIANT not in _variants(fields):
        yield f"{REFERENCE_VARIANT} is made too, though 'variants' does not name it: the others are made from it"


def _latency(fields: TargetFields) -> LatencyBounds | None:
    written = fields.plain("latency") if "latency" in fields else False
    if isinstance(written, dict):
        return LatencyBounds(**written)
    return LatencyBounds() if written else None


def _shapes(fields: TargetFields) -> dict[str, list[int]]:
    written = fields.plain("shapes") if "shapes" in fields else {}
    return {name: sizes if isinstance(sizes, list) else [sizes] for name, sizes in written.items()}


def _tolerance(fields: TargetFields) -> dict[str, dict[str, OutputTolerance]]:
    written = fields.plain("tolerance") if "tolerance" in fields else {}
    return {
        variant: {
            output: OutputTolerance(**bound) if isinstance(bound, dict) else OutputTolerance(atol=bound)
            for output, bound in outputs.items()
        }
        for variant, outputs in written.items()
    }


def _high_precision(fields: TargetFields) -> dict[str, list[str]]:
    written = fields.plain("high_precision") if "high_precision" in fields else {}
    return {variant: nodes if isinstance(nodes, list) else [nodes] for variant, nodes in written.items()}


def _folded(path: Path) -> tuple[str, ...]:
    """The parts of a path as a case-insensitive file system compares them."""
    return tuple(part.casefold() for part in path.parts)


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name too long for the file system, a folder that may not be read
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
