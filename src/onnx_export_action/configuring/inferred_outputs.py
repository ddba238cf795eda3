"""Which outputs a file of a model can have: what depends on the inputs, on all of them, and is no chance."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from onnx_export_action.configuring.calls import Calls
from onnx_export_action.onnx_config.inferred import COMPANIONS, SUBJECTS
from onnx_export_action.onnx_config.outputs import TASK_OUTPUTS


def inferred_outputs(calls: Calls) -> list[str]:
    """The paths of those that the task is about, or else of all; none where an input does not matter."""
    first, second, again = (calls.answer(seed=seed).outputs for seed in (0, 1, 0))
    found = [
        name
        for name, value in first.items()
        if _depends(value, second.get(name)) and _is_repeated(value, again.get(name))
    ]
    wanted = [name for name in TASK_OUTPUTS.get(calls.task, {}) if name in found]
    of_the_task = wanted if len(wanted) == len(TASK_OUTPUTS.get(calls.task, {"": {}})) else found
    # What the task is about may come before an input is read.
    tried = [of_the_task] if of_the_task == found else [of_the_task, found]
    return next((outputs for outputs in tried if _all_matter(calls, first, outputs)), [])


def _depends(first: torch.Tensor, second: torch.Tensor | None) -> bool:
    """Whether an output differs between two inputs, and is a number that can be compared."""
    if second is None or not first.is_floating_point() or first.numel() == 0:
        return False
    return first.shape != second.shape or not torch.equal(first, second)


def _is_repeated(first: torch.Tensor, again: torch.Tensor | None) -> bool:
    """Whether a second run gave the same but for rounding; a model that draws random numbers gives others."""
    return again is not None and first.shape == again.shape and torch.allclose(first, again, rtol=1e-3, equal_nan=True)


def _all_matter(calls: Calls, given: Mapping[str, torch.Tensor], outputs: list[str]) -> bool:
    """Whether every input does; one subject alone must, as the outputs depend on it."""
    subjects = [name for name in calls.facts.inputs if name in SUBJECTS]
    companions = [name for name in COMPANIONS if name in calls.facts.inputs]
    doubtful = [*(subjects if len(subjects) > 1 else ()), *companions]
    return all(_matters(calls, name, given, outputs) for name in doubtful)


def _matters(calls: Calls, name: str, given: Mapping[str, torch.Tensor], outputs: list[str]) -> bool:
    """Whether outputs change where an input is all zeros; a graph has no input that nothing reads."""
    try:
        without = calls.answer(emptied=name).outputs
    except Exception:  # whatever the model's own code raises
        return True
    return any(output not in without or not torch.equal(given[output], without[output]) for output in outputs)
