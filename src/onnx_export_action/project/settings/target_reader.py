"""From the keys of one target to a :class:`Target`: paths, Hub ids, and what one key means for another.

Everything a target names comes from a pull request: a path never leaves the repository, through ``..`` or a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from onnx_export_action.project.document import Node
from onnx_export_action.project.places import lies_in_a_folder, missing_folder_hint, neighbour_hint
from onnx_export_action.project.sample_files import SAMPLE_SUFFIXES
from onnx_export_action.project.settings.contradictions import contradictions
from onnx_export_action.project.settings.declarations import declaration_of
from onnx_export_action.project.settings.fields import (
    TargetFields,
    high_precision_of,
    latency_of,
    shapes_of,
    task_of,
    tolerance_of,
    variant_notes_of,
    variants_of,
)
from onnx_export_action.project.settings.targets import PublishSettings, Target
from onnx_export_action.project.settings.written_paths import WrittenPaths, folded, is_dir, is_file
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.options import ExportOptions, Tolerances
from onnx_export_action.vocabulary.problems import Problem, quoted
from onnx_export_action.vocabulary.results import FailOn
from onnx_export_action.vocabulary.supported.engines import Engine

# huggingface_hub's validate_repo_id: letters, digits, '-', '_', '.', each part bounded by a word character.
_HUB_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_HUB_ID = re.compile(rf"(?!.*(?:--|\.\.))(?!.*\.git$)(?:{_HUB_NAME}/)?{_HUB_NAME}")
_HUB_URL = re.compile(rf"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/({_HUB_NAME}/{_HUB_NAME})(?:/.*)?")


class TargetReader:
    """Reads the targets of one file; ``problems`` are what is wrong with those that were read."""

    def __init__(self, path: Path) -> None:
        self._paths = paths = WrittenPaths(path)
        self._base, self._inside, self._report = paths.base, paths.inside, paths.report
        self._owner_of_name: dict[str, Node] = {}
        self._sources: list[Path] = [self._base]
        self._outputs: list[tuple[str, Path, Node]] = []

    @property
    def problems(self) -> list[Problem]:
        """All mistakes so far."""
        return self._paths.problems

    def read(self, fields: TargetFields) -> Target | None:
        """One target, None when its name, model or output is missing or wrong."""
        name = self._name(fields)
        folder, notes = self._model(fields)
        samples = self._samples(fields)
        output = None if name is None else self._output(fields, name)
        for contradiction in contradictions(fields):
            self._report(*contradiction)
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
            task=task_of(fields),
            options=self._options(fields, samples),
            notes=[*notes, *variant_notes_of(fields)],
            publish=self._publish(fields),
            fail_on=FailOn(fields.plain("fail_on")) if "fail_on" in fields else FailOn.VALIDATION,
        )

    def _options(self, fields: TargetFields, samples: Path | None) -> ExportOptions:
        copied = ("opset", "shard_bytes")
        return ExportOptions(
            weights=Weights(fields.text("weights") or Weights.LOAD),
            engine=Engine(fields.text("engine") or Engine.AUTO),
            samples=samples,
            variants=variants_of(fields),
            shapes=shapes_of(fields),
            tolerance=Tolerances(of_variants=tolerance_of(fields)),
            high_precision=high_precision_of(fields),
            latency=latency_of(fields),
            declaration=declaration_of(fields, self._paths),
            **{key: fields.plain(key) for key in copied if key in fields},
        )

    def check_outputs(self) -> None:
        """No two targets write into each other's folder, and none over a model, samples or the settings."""
        sources = {folded(folder) for source in self._sources for folder in (source, *source.parents)}
        owners: dict[tuple[str, ...], str] = {}
        for name, output, node in self._outputs:
            if folded(output) in sources:
                message = f"the output folder of {name} holds a model, samples or the settings"
                self._report(node, message, "give a folder apart")
            elif owners.setdefault(folded(output), name) != name:
                message = f"the output folder of {name} is also that of {owners[folded(output)]}"
                self._report(node, message, "give each its own 'output'")
        for name, output, node in self._outputs:
            parts = folded(output)
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
        if is_dir(folder):
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
        if is_dir(found):
            return found
        if found.suffix.lower() not in SAMPLE_SUFFIXES:
            hint = f"it must be a {', '.join(SAMPLE_SUFFIXES)} file, or a folder"
            self._report(node, f"samples cannot be {quoted(samples)}", hint)
        elif not is_file(found):
            self._report(node, f"there is no file {quoted(samples)}", neighbour_hint(samples, self._base))
        return found

    def _output(self, fields: TargetFields, name: str) -> Path | None:
        output, node = fields.text("output"), fields.node("output")
        if output is None:
            node = fields.node("name")
        resolved = self._inside(output or f"artifacts/{name}", node, "output")
        if resolved is None:
            return None
        if ".git" in folded(resolved.relative_to(self._paths.repository)):
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


def _hub_notes(model: str, fields: TargetFields, base: Path) -> Iterator[str]:
    if "revision" not in fields:
        yield f"{model} has no revision: its newest commit is exported"
    if lies_in_a_folder(model, base):
        yield f"{model} is taken as a Hub id, because there is no such folder"
