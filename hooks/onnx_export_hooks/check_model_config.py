"""check-model-config: config.json and the tokenizer's and processor's files, each alone and against each other.

A changed file is checked with its folder: what it must agree with may stand in a file that did not change.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from onnx_export_action.project.other_libraries import as_sentence_config, embeds_sentences
from onnx_export_action.project.sentence_modules import MODULES_NAME
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.names.file_names import CONFIG_NAME, TOKENIZER_NAME
from onnx_export_hooks.attribute_rules import attribute_findings, label_findings, token_id_findings
from onnx_export_hooks.command import Hook, run_hook
from onnx_export_hooks.findings import Finding, finding
from onnx_export_hooks.json_document import read_json, repaired
from onnx_export_hooks.model_config import ModelConfig
from onnx_export_hooks.model_folder import MODEL_FILES, ModelFolder
from onnx_export_hooks.model_type_rules import export_findings, type_findings
from onnx_export_hooks.repository import LINK_HINT, LINK_MESSAGE, Repository
from onnx_export_hooks.rules import MODEL_HOOK
from onnx_export_hooks.tokenizer_rules import processor_findings, tokenizer_findings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the hook on the files named in ``argv``."""
    return run_hook(HOOK, argv)


def check(files: list[Path], repository: Repository, _: argparse.Namespace) -> Iterator[Finding]:
    """The files one by one, then each of their folders as a whole."""
    readable: dict[Path, list[Path]] = {}
    for path in files:
        if repository.leads_out(path):
            yield finding(path, (1, 1), "link-outside", LINK_MESSAGE, LINK_HINT)
        else:
            readable.setdefault(path.parent, []).append(path)
    for parent, changed in readable.items():
        folder = ModelFolder(parent)
        if not repository.targets_of(parent) and not folder.is_model():
            continue
        for path in changed:
            yield from _file_findings(path)
        if folder.config is not None and not repository.leads_out(parent / CONFIG_NAME):
            yield from _folder_findings(folder, repository)


def _file_findings(path: Path) -> Iterator[Finding]:
    if path.suffix != ".json":
        return
    document, found = read_json(path)
    yield from found
    may_be_a_list = path.name not in MODEL_FILES
    if document is not None and not isinstance(document.value, dict) and not may_be_a_list:
        yield document.finding("json-syntax", (), "the file must hold a JSON object", "start it with {")
    if document is not None and path.name == TOKENIZER_NAME and not _has_model(document.value):
        yield document.finding("json-syntax", ("model",), "tokenizer.json holds no tokenizer: it has no 'model'")


def _has_model(value: Any) -> bool:
    return not isinstance(value, dict) or isinstance(value.get("model"), dict)


def _folder_findings(folder: ModelFolder, repository: Repository) -> Iterator[Finding]:
    config = folder.config
    if config is None:
        return
    yield from type_findings(config)
    yield from _module_findings(folder, config)
    yield from attribute_findings(config)
    yield from token_id_findings(folder, config)
    yield from label_findings(config, folder.weights)
    yield from tokenizer_findings(folder, config)
    yield from processor_findings(folder, config)
    for target in repository.targets_of(folder.path):
        yield from export_findings(folder, config, target)


def _module_findings(folder: ModelFolder, config: ModelConfig) -> Iterator[Finding]:
    """What sentence-transformers says of a folder, where that is of its kind."""
    if not embeds_sentences(folder.path, config.values, "auto"):
        return
    try:
        as_sentence_config(folder.path, config.values)
    except ExportError as error:
        path = folder.path / MODULES_NAME
        yield finding(path, (1, 1), "sentence-modules", error.message.removeprefix(f"{path}: "), error.hint)


def _repair(path: Path) -> bool:
    """Remove what only makes a file unreadable: a byte order mark, commas before a closing bracket."""
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return False
    better = repaired(text)
    if better is None:
        return False
    path.write_bytes(better.encode("utf-8"))
    return True


HOOK = Hook(
    name=MODEL_HOOK,
    description="Check config.json, tokenizer and processor files of models that are exported to ONNX.",
    accepts=lambda path: path.name in {*MODEL_FILES, MODULES_NAME},
    check=check,
    fix=_repair,
)
