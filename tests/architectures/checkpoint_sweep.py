"""One tensor of a checkpoint is dropped, added, renamed, cast or rescaled: it is refused or told, for every model type.

``python -m tests.architectures.checkpoint_sweep [TYPE ...]`` prints what was not, and the counts.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from onnx_export_action.loading.model import load_model
from onnx_export_action.onnx_config import TasksManager
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.jobs import Job
from tests.architectures.tiny import tiny_config

Tensors = dict[str, torch.Tensor]
Change = Callable[[Tensors, str], str]

WEIGHTS = "model.safetensors"


def _dropped(tensors: Tensors, name: str) -> str:
    del tensors[name]
    return name


def _renamed(tensors: Tensors, name: str) -> str:
    tensors[f"{name}_old"] = tensors.pop(name)
    return f"{name}_old"


def _added_beside(tensors: Tensors, name: str) -> str:
    tensors[f"{name}_scale"] = torch.ones(1)
    return f"{name}_scale"


def _added_elsewhere(tensors: Tensors, _: str) -> str:
    tensors["of_nothing.known"] = torch.ones(1)
    return "of_nothing.known"


def _with_adapter(tensors: Tensors, name: str) -> str:
    layer = name.rpartition(".")[0]
    tensors[f"{layer}.lora_A.default.weight"] = torch.ones(4, 4)
    return f"{layer}.lora_A.default.weight"


def _as_int8(tensors: Tensors, name: str) -> str:
    tensors[name] = (tensors[name] * 100).to(torch.int8)
    return name


def _as_float8(tensors: Tensors, name: str) -> str:
    tensors[name] = tensors[name].to(torch.float8_e4m3fn)
    return name


def _rescaled(tensors: Tensors, name: str) -> str:
    scale = tensors[name].abs().max() / 400
    tensors[name] = (tensors[name] / scale).contiguous()
    tensors[f"{name}_scale_inv"] = scale.reshape(1)
    return f"{name}_scale_inv"


CHANGES: dict[str, Change] = {
    "dropped": _dropped,
    "renamed": _renamed,
    "added beside": _added_beside,
    "added elsewhere": _added_elsewhere,
    "an adapter": _with_adapter,
    "as int8": _as_int8,
    "as float8": _as_float8,
    "rescaled": _rescaled,
}
REFUSED, TOLD, MISSED, SILENT = "refused", "told in a note", "told as missing", "SILENT"


def checkpoint(model_type: str, folder: Path) -> Job:
    """A tiny model of the type's first task, saved; with the job that loads it."""
    task = next(iter(TasksManager.get_supported_tasks_for_model_type(model_type)))
    model_class = TasksManager.get_model_class_for_task(task, model_type=model_type)
    config = tiny_config(model_type)
    build = getattr(model_class, "from_config", None) or model_class._from_config
    model = build(config)
    config.architectures = [type(model).__name__]
    model.save_pretrained(folder)
    return Job(name="m", source="m", folder=folder, model_type=model_type, task=task, destination=folder / "out")


def outcomes(model_type: str, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Change, tensor and what came of it: of a matrix that is drawn by the type's name.

    Raises:
        ExportError: the checkpoint as it was saved is not loaded.
    """
    job = checkpoint(model_type, folder)
    assert load_model(job).notes == []
    tensors = load_file(folder / WEIGHTS)
    matrices = sorted(name for name, tensor in tensors.items() if name.endswith(".weight") and tensor.ndim > 1)
    drawn = random.Random(model_type).choice(matrices or sorted(tensors))
    for words, change in CHANGES.items():
        changed = dict(tensors)
        name = change(changed, drawn)
        save_file(changed, folder / WEIGHTS, metadata={"format": "pt"})
        yield words, drawn, _outcome(job, name)


def _outcome(job: Job, name: str) -> str:
    try:
        loaded = load_model(job)
    except ExportError:
        return REFUSED
    leaf = name.rpartition(".")[2]
    if any(leaf in note for note in loaded.notes):
        return TOLD
    return MISSED if loaded.missing else SILENT


def main(types: list[str]) -> int:
    """Go over the types, all without any; exit code 1 where something was lost in silence."""
    counts: Counter[tuple[str, str]] = Counter()
    silent = 0
    for model_type in types or sorted(TasksManager.get_supported_model_types()):
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = list(outcomes(model_type, Path(folder)))
            except Exception as error:  # a tiny configuration that does not build is the catalogue's concern
                print(f"{model_type}: not made: {type(error).__name__}: {str(error)[:200]}".replace("\n", " "))
                continue
        for words, name, outcome in found:
            counts[words, outcome] += 1
            if outcome == SILENT:
                silent += 1
                print(f"{model_type}: {words} {name}: {outcome}")
    for (words, outcome), count in sorted(counts.items()):
        print(f"{words}: {outcome}: {count}")
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
