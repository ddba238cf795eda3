"""A reference made by hand: cases and their records as PyTorch's process leaves them, from a function of numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from onnx_export_action.proving.arrays import Array, Arrays
from onnx_export_action.proving.records import (
    INPUT_PREFIX,
    OUTPUT_PREFIX,
    CandidateFile,
    CaseOrigin,
    CaseRecord,
    ComponentRecord,
    NoiseRecord,
    OutputRecord,
    PrecisionCost,
    write_record,
)
from onnx_export_action.vocabulary.options import Tolerances
from onnx_export_action.vocabulary.results import Padding
from onnx_export_action.vocabulary.supported.engines import Engine

NO_TOLERANCE = Tolerances()
TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}

Model = Callable[[Arrays], Arrays]


@dataclass(frozen=True)
class HandMade:
    """A component of a model: ``inputs`` and ``outputs`` say which axes vary, ``cases`` what goes in, by id.

    The first case has the sizes of the export; each other one is told by the axis that it varies, or by None.
    """

    model: Model
    inputs: Mapping[str, dict[int, str]]
    outputs: Mapping[str, dict[int, str]]
    cases: Mapping[str, tuple[Arrays, str | None]]
    masks: Mapping[str, Padding] = field(default_factory=dict)
    costs: Mapping[str, PrecisionCost] = field(default_factory=dict)
    name: str = "model"

    def record(self, folder: Path) -> ComponentRecord:
        """Write the cases to ``folder``, and the record of the component after them."""
        folder.mkdir(parents=True, exist_ok=True)
        cases, seen = [], {name: list[Array]() for name in self.outputs}
        for number, (case, (inputs, varied)) in enumerate(self.cases.items()):
            expected = self.model(inputs)
            file = f"{self.name}.{number}.safetensors"
            arrays = {f"{INPUT_PREFIX}{name}": array for name, array in inputs.items()}
            save_file(arrays | {f"{OUTPUT_PREFIX}{name}": array for name, array in expected.items()}, folder / file)
            shape = {
                axis_name: array.shape[axis]
                for name, array in inputs.items()
                for axis, axis_name in self.inputs[name].items()
            }
            cases.append(
                CaseRecord(
                    id=case,
                    file=file,
                    mask=self.masks.get(case, Padding.NONE),
                    shape=shape,
                    varied=varied,
                    origin=CaseOrigin.GRID if number else CaseOrigin.BASE,
                )
            )
            for name, array in expected.items():
                seen[name].append(array.reshape(-1))
        record = ComponentRecord(
            name=self.name,
            inputs=dict(self.inputs),
            outputs={name: self._output(axes, np.concatenate(seen[name])) for name, axes in self.outputs.items()},
            cases=cases,
        )
        write_record(record, folder, self.name)
        return record

    def _output(self, axes: dict[int, str], values: Array) -> OutputRecord:
        scale = float(np.sqrt(np.square(values, dtype=np.float64).mean()))
        noise = NoiseRecord(max_abs=1e-7, root_mean_square=3e-8, elements=10_000, cases=2)
        return OutputRecord(
            axes=axes,
            class_atol=1e-4,
            root_mean_square=scale,
            spread=float(np.ptp(values)),
            noise=noise,
            costs=dict(self.costs),
        )


def asked(path: Path, **changes: object) -> CandidateFile:
    """The request to check a file that holds one component."""
    usual = CandidateFile(path=path, name=path.name, components=["model"], engine=Engine.TRACER)
    return msgspec.structs.replace(usual, **changes)


def value(name: str, shape: list[int | str], dtype: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    """An input or output."""
    return helper.make_tensor_value_info(name, dtype, shape)


def save_graph(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: Mapping[str, Array] | None = None,
) -> Path:
    """Write a checked ONNX file of opset 18."""
    initializers = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
