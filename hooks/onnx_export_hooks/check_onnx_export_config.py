"""check-onnx-export-config: onnx-export.yaml against its format, and against the models it names."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

from onnx_export_action.project.document import Node, read_document
from onnx_export_action.project.sentence_modules import config_folder
from onnx_export_action.project.settings import SettingsError, Target, load_settings
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.errors import ExportError, plan_error
from onnx_export_action.vocabulary.names.file_names import CONFIG_NAME, SETTINGS_NAME
from onnx_export_action.vocabulary.problems import did_you_mean, nearest, quoted
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT
from onnx_export_hooks.command import Hook, run_hook
from onnx_export_hooks.exporting import Plan, export_plan, exported_task, is_inferred, registered_values
from onnx_export_hooks.findings import Finding, finding, from_problem
from onnx_export_hooks.model_config import ModelConfig, read_model_config
from onnx_export_hooks.repository import Repository
from onnx_export_hooks.rules import CONFIG_HOOK, RULES

LOOSEST_TOLERANCE = 0.1
WEIGHT_PATTERNS = ("*.safetensors", "pytorch_model*.bin")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the hook on the files named in ``argv``."""
    return run_hook(HOOK, argv)


def check(files: list[Path], _: Repository, __: argparse.Namespace) -> Iterator[Finding]:
    """All that is wrong with each configuration file."""
    for path in files:
        yield from check_settings(path)


def check_settings(path: Path) -> Iterator[Finding]:
    """The format first; the meaning of its targets where the format is right."""
    try:
        targets = load_settings(path).targets
    except SettingsError as error:
        yield from (from_problem(problem, "settings") for problem in error.problems)
        return
    document = _Document(path)
    yield from _unknown_rules(document)
    for index, target in enumerate(targets):
        places = _TargetPlaces(document, index)
        yield from _tolerances(target, places)
        yield from _target(target, places)


class _Document:
    """The file again, for the places in it: read only when there is something to say."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @functools.cached_property
    def root(self) -> Node:
        root, _ = read_document(self.path)
        if root is None:
            raise plan_error(f"{self.path} changed while it was read")
        return root


class _TargetPlaces:
    """Where the keys of one target stand; a key that comes from the defaults stands there."""

    def __init__(self, document: _Document, index: int) -> None:
        self._document = document
        self._sections: list[list[str | int]] = [["targets", index], ["defaults"]]

    def finding(self, rule: str, steps: list[str], message: str, hint: str | None = None) -> Finding:
        """A finding at the key that the steps lead to, or at the nearest place above it."""
        return finding(self._document.path, self._place(steps), rule, message, hint)

    def _place(self, steps: list[str]) -> tuple[int, int]:
        for end in range(len(steps), 0, -1):
            for section in self._sections:
                try:
                    entry = self._document.root.at([*section, *steps[: end - 1]]).entry(steps[end - 1])
                except (KeyError, IndexError):
                    continue
                return entry.line, entry.column
        node = self._document.root.at(self._sections[0])
        return node.line, node.column


def _unknown_rules(document: _Document) -> Iterator[Finding]:
    if b"ignore" not in document.path.read_bytes():
        return
    try:
        ignored = document.root.at(["hooks", "ignore"]).value
    except (KeyError, IndexError):
        return
    for name, entry in ignored.items() if isinstance(ignored, dict) else ():
        if name not in RULES:
            hint = did_you_mean(name, RULES) or f"the rules are {', '.join(RULES)}"
            yield finding(
                document.path, (entry.line, entry.column), "unknown-rule", f"there is no rule {quoted(name)}", hint
            )


def _target(target: Target, places: _TargetPlaces) -> Iterator[Finding]:
    if target.folder is None:
        return
    folder = config_folder(target.folder)
    if not (folder / CONFIG_NAME).is_file():
        message = f"the model of {target.name} has no config.json"
        yield places.finding("target-model", ["model"], message, "give the folder that `save_pretrained` wrote")
        return
    if target.options.weights is Weights.LOAD and not _has_weights(folder):
        hint = "add them, or check the architecture alone with 'weights: random'"
        yield places.finding("target-model", ["model"], f"the model of {target.name} has no weights", hint)
    config, _ = read_model_config(folder / CONFIG_NAME)
    if config is not None:
        yield from _meaning(target, target.folder, config, places)


def _has_weights(folder: Path) -> bool:
    return any(path.is_file() for pattern in WEIGHT_PATTERNS for path in folder.glob(pattern))


def _meaning(target: Target, folder: Path, config: ModelConfig, places: _TargetPlaces) -> Iterator[Finding]:
    """What the target says, against what its model type can do."""
    if target.options.declaration.configuration_class is not None:
        return  # code of the repository, which no hook runs
    try:
        values = registered_values(config, folder, target.task)
        if is_inferred(values.get("model_type")):
            return  # what the model itself shows, which no hook loads
        task = exported_task(target, values)
    except ExportError as error:
        if target.options.declaration:
            return
        yield places.finding("task-not-exportable", ["task"], f"{target.name}: {error.message}", error.hint)
        return
    plan = export_plan(config, task, values["model_type"])
    if plan is None:
        return
    yield from _inputs(target, plan, places)
    yield from _outputs(target, plan, places)
    yield from _shapes(target, plan, places)


def _inputs(target: Target, plan: Plan, places: _TargetPlaces) -> Iterator[Finding]:
    """A declared input that is nearly one that the type is known to take: others only the model itself knows."""
    known = plan.inputs()
    for name in target.options.declaration.inputs:
        near = nearest(name, known, cutoff=0.8)
        if name not in known and near is not None:
            message = f"{target.name}: the model takes no input {quoted(name)}"
            yield places.finding("unknown-input", ["inputs", name], message, f"did you mean {quoted(near)}?")


def _outputs(target: Target, plan: Plan, places: _TargetPlaces) -> Iterator[Finding]:
    outputs = list(target.options.declaration.outputs) or plan.outputs()
    for variant, bounds in target.options.tolerance.of_variants.items():
        for name in bounds:
            if name not in outputs:
                hint = did_you_mean(name, outputs) or f"its outputs are {', '.join(outputs[:5])}"
                message = f"{target.name} has no output {quoted(name)}"
                yield places.finding("unknown-output", ["tolerance", variant, name], message, hint)


def _tolerances(target: Target, places: _TargetPlaces) -> Iterator[Finding]:
    for variant, bounds in target.options.tolerance.of_variants.items():
        for name, bound in bounds.items():
            loose = max(bound.atol or 0.0, bound.rtol or 0.0)
            if variant == REFERENCE_VARIANT and loose > LOOSEST_TOLERANCE:
                message = (
                    f"a tolerance of {loose:g} accepts wrong files: {LOOSEST_TOLERANCE:g} is the most that makes sense"
                )
                yield places.finding("loose-tolerance", ["tolerance", variant, name], message)


def _shapes(target: Target, plan: Plan, places: _TargetPlaces) -> Iterator[Finding]:
    for name, sizes in target.options.shapes.items():
        limit = plan.limits.get(name)
        refused = [] if limit is None else [size for size in sizes if not limit.allows(size)]
        if refused:
            message = f"{target.name}: {name} cannot be {refused[0]}"
            yield places.finding("shape-out-of-range", ["shapes", name], message, str(limit))


HOOK = Hook(
    name=CONFIG_HOOK,
    description="Check onnx-export.yaml: its format, and what it says of the models it names.",
    accepts=lambda path: path.name == SETTINGS_NAME,
    check=check,
)
