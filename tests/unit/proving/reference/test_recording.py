"""The scale of an output, from which its tolerance follows, and whether it varies, are those of what is meant by it."""

from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from onnx_export_action.onnx_config import OnnxConfig
from tests.unit.onnx_config.configs import text_config

torch = pytest.importorskip("torch")


class Scores(OnnxConfig):
    """Token ids to ``logits``."""

    @property
    def inputs(self) -> OrderedDict[str, dict[int, str]]:
        return OrderedDict(input_ids={0: "batch_size", 1: "sequence_length"})

    @property
    def outputs(self) -> OrderedDict[str, dict[int, str]]:
        return OrderedDict(logits={0: "batch_size", 1: "sequence_length"})


class ConstantScores(Scores):
    """As above, where the scores belong to the model."""

    CONSTANT_OUTPUTS = frozenset({"logits"})


class OneNumber(Scores):
    """A single number, without a batch."""

    @property
    def outputs(self) -> OrderedDict[str, dict[int, str]]:
        return OrderedDict(logits={})


class Model(torch.nn.Module):
    def __init__(self, compute: Any) -> None:
        super().__init__()
        self._compute = compute

    def forward(self, input_ids: Any) -> Any:
        return SimpleNamespace(logits=self._compute(input_ids.float()))


def logits_of(compute: Any, folder: Path, config_class: type[OnnxConfig] = Scores) -> Any:
    from onnx_export_action.proving.cases.grid import plan_cases
    from onnx_export_action.proving.reference.recording import component_reference

    config = config_class(text_config())
    cases = [(spec, spec.arrays(config), []) for spec in plan_cases(config, seed=0)]
    return component_reference(Model(compute), "model", config, cases, folder).outputs["logits"]


LOWEST = torch.finfo(torch.float32).min


@pytest.mark.parametrize("ruled_out", [LOWEST, -float("inf")])
@pytest.mark.parametrize("rows", ["some", "all of a case"])
def test_what_a_model_rules_out_does_not_count(ruled_out: float, rows: str, tmp_path: Path) -> None:
    def compute(ids: Any) -> Any:
        hidden = ids > 50 if rows == "some" else torch.full_like(ids, len(ids) == 3) == 1
        return torch.where(hidden, ruled_out, ids)

    found = logits_of(compute, tmp_path)
    assert 1 < found.root_mean_square < 100
    assert 1 < found.spread < 100


def test_an_output_that_ignores_the_input_does_not_vary(tmp_path: Path) -> None:
    ramp = lambda ids: torch.arange(ids.shape[1]).float().expand(ids.shape)  # noqa: E731 - said once
    assert logits_of(ramp, tmp_path).spread == 0
    # Unless it is declared to: then it must not be the same number everywhere.
    assert logits_of(ramp, tmp_path, ConstantScores).spread > 1
    assert logits_of(torch.zeros_like, tmp_path, ConstantScores).spread == 0


def test_a_single_number_varies_from_case_to_case(tmp_path: Path) -> None:
    assert logits_of(lambda ids: ids.mean(), tmp_path, OneNumber).spread > 1
    assert logits_of(lambda ids: ids.mean() * 0 + 7, tmp_path, OneNumber).spread == 0
