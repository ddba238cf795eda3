"""Checks files as the product does, in a process of their own where they may end it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from onnx_export_action.pipeline.checking import answer_of
from onnx_export_action.pipeline.explaining import can_be_explained, with_explanation
from onnx_export_action.processes.workers import Work, Workers
from onnx_export_action.proving.explaining.divergence import explain
from onnx_export_action.proving.records import CheckedFile
from onnx_export_action.vocabulary.results import Cause, FileResult, Stage, Verdict
from tests.faults.collection import Fault, break_file
from tests.faults.exports import Proven, make_export

_CANDIDATE = Work(
    "onnx_export_action.proving.candidate.check:check_file",
    CheckedFile,
    Stage.VALIDATE,
    "runs the file in ONNX Runtime",
)


_PATIENCE_SECONDS = 45.0


class Exports:
    """The good exports, each made when it is first asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: dict[str, Proven] = {}

    def __getitem__(self, name: str) -> Proven:
        if name not in self._made:
            self._made[name] = make_export(name, self._root / name.replace(" ", "-"), self.__getitem__)
        return self._made[name]


@dataclass(frozen=True)
class Finding:
    """What the product says of one broken file."""

    fault: Fault
    result: FileResult

    @property
    def caught(self) -> bool:
        return self.result.verdict is not Verdict.PASS

    @property
    def cause(self) -> Cause | None:
        return self.result.failure.cause if self.result.failure is not None else None

    @property
    def right(self) -> bool:
        """Caught, and for the right kind of cause."""
        return self.caught and self.cause in self.fault.causes

    @property
    def words(self) -> str:
        failure = self.result.failure
        return "" if failure is None else f"{failure.message}; {failure.hint or ''}"


def find(fault: Fault, exports: Exports, folder: Path, *, look_inside: bool = True) -> Finding:
    """Break a copy of the good file in ``folder``, check it, and look into it, as the product does."""
    good = exports[fault.export]
    path = break_file(fault, good.model(fault.stem), folder)
    beside = good.path(fault.stem).with_name("model.onnx")
    if beside != good.path(fault.stem) and beside.is_file() and good.record(fault.stem).variant != "fp32":
        shutil.copy(beside, folder)  # a variant lies beside the file that it is of
    if not fault.isolated:
        result = good.check(path, fault.stem)
        if look_inside and can_be_explained(result):
            repro = folder / "repro"
            asked = good.asked(path, fault.stem)
            found = explain(good.job, asked, result, good.references, repro, f"../{path.name}")
            result = with_explanation(result, found, repro)
        return Finding(fault, result)
    asked = good.asked(path, fault.stem)
    with Workers([]) as workers:
        candidate = workers.fresh(_CANDIDATE)
        candidate.ask(good.job.options.tolerance, asked, good.references)
        return Finding(fault, answer_of(candidate, asked, _PATIENCE_SECONDS).result)
