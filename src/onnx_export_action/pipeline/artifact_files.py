"""Which ONNX files of a folder belong to a model, by the names that its configuration class gives them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from onnx_export_action.onnx_config.registry import TasksManager
from onnx_export_action.proving.records import CandidateFile, components_in
from onnx_export_action.vocabulary.errors import ExportError, plan_error
from onnx_export_action.vocabulary.jobs import Job
from onnx_export_action.vocabulary.names.components import (
    ONNX_FOLDER,
    TORCHSCRIPT_FOLDER,
    TORCHSCRIPT_SUFFIX,
    ComponentKind,
    components_of_file,
    files_of_components,
)
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT, VARIANTS, reference_path, variant_of, variant_path

_ONNX_SUFFIX = ".onnx"


def files_to_check(folder: Path, job: Job) -> list[CandidateFile]:
    """The ONNX files of ``folder``, or of its folder ``onnx``, that the job's model becomes, in every variant.

    Files of other names are let be, as other programs may have theirs there; but not those that a model of this type
    becomes for another task.

    Raises:
        ExportError: there is none, or there are files of another task.
    """
    names = component_names(job)
    for place in (folder / ONNX_FOLDER, folder):
        files = sorted(path for path in place.glob(f"*{_ONNX_SUFFIX}") if path.is_file())
        found = list(_in_order(folder, files, names))
        if found:
            _require_one_task(job, files, found)
            return found
    raise _nothing_found(folder, job, names)


def component_names(job: Job) -> tuple[str, ...] | None:
    """The names of all files, without ending, that the job's model may become; None where the repository's code says.

    Declared inputs are those of one file of the whole model where the task would be several.
    """
    if job.options.declaration.configuration_class is not None:
        return None
    names = TasksManager.component_names(job.model_type, job.task)
    if names is None or not job.options.declaration:
        return names
    return tuple(dict.fromkeys((*names, ComponentKind.MODEL.value)))


def require_components(file: CandidateFile, references: Path) -> None:
    """Refuse a file of components that the model does not have: PyTorch, which is done, left no records of them.

    Raises:
        ExportError: it is such a file.
    """
    known = components_in(references)
    if not known.issuperset(file.components):
        raise plan_error(
            f"{file.name} computes nothing that the model does for this task",
            f"its files are: {_listed(sorted(known))}",
        )


def _in_order(folder: Path, files: Sequence[Path], names: Sequence[str] | None) -> Iterator[CandidateFile]:
    """Variant by variant, the files of each in the order of export."""
    stems = [_fp32_stem(path) for path in files] if names is None else files_of_components(names)
    by_name = {path.name: path for path in files}
    for variant in VARIANTS:
        for stem in dict.fromkeys(stems):
            path = by_name.get(variant_path(f"{stem}{_ONNX_SUFFIX}", variant))
            if path is not None and (names is not None or variant_of(path.name) == variant):
                yield CandidateFile(
                    path=path,
                    name=path.relative_to(folder).as_posix(),
                    components=components_of_file(stem),
                    engine="unknown",
                    variant=variant,
                )


def _fp32_stem(path: Path) -> str:
    return Path(reference_path(path.name, variant_of(path.name))).stem


def _require_one_task(job: Job, files: Sequence[Path], found: Sequence[CandidateFile]) -> None:
    of_this_task = {file.path for file in found}
    others = [path for path in files if path not in of_this_task]
    for task in _other_tasks(job):
        stems = files_of_components(TasksManager.component_names(job.model_type, task) or ())
        misplaced = next((path for path in others if _fp32_stem(path) in stems), None)
        if misplaced is not None:
            raise plan_error(
                f"{misplaced} is a file of the task {task}, and the model was to be proven for {job.task}",
                f"name the task (--task {task}), or take the file away",
            )


def _other_tasks(job: Job) -> list[str]:
    if job.options.declaration or job.model_type not in TasksManager.get_supported_model_types():
        return []
    tasks = TasksManager.get_supported_tasks_for_model_type(job.model_type)
    return [task for task in tasks if task != job.task]


def _nothing_found(folder: Path, job: Job, names: Collection[str] | None) -> ExportError:
    if any((folder / TORCHSCRIPT_FOLDER).glob(f"*{TORCHSCRIPT_SUFFIX}")):
        return plan_error(
            f"{folder} holds TorchScript files, which are programs: they are proven where they are exported",
            "export the model again: `onnx-export export MODEL OUTPUT --format torchscript`",
        )
    if names is None:
        return plan_error(f"{folder} holds no ONNX file")
    return plan_error(
        f"{folder} holds no ONNX file of a {job.model_type} for {job.task}",
        f"its files are: {_listed(files_of_components(names))}",
    )


def _listed(stems: Collection[str]) -> str:
    return ", ".join(variant_path(f"{stem}{_ONNX_SUFFIX}", REFERENCE_VARIANT) for stem in stems)
