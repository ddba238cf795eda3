"""Which axes passing cases prove."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from onnx_export_action.proving.candidate.axes import proven_axes
from onnx_export_action.proving.records import CaseRecord, ComponentRecord
from onnx_export_action.vocabulary.results import AxisResult
from tests.unit.proving.candidate.graphs import PRODUCT, SHAPES


@pytest.fixture
def record(tmp_path: Path) -> ComponentRecord:
    return PRODUCT.record(tmp_path)


def named(axes: list[AxisResult]) -> dict[str, bool]:
    return {axis.name: axis.proven for axis in axes}


def test_an_axis_is_proven_when_every_case_that_varies_it_alone_passes(record: ComponentRecord) -> None:
    all_pass = [True] * len(SHAPES)
    assert named(proven_axes([record], [all_pass])) == {"batch_size": True, "sequence_length": True}
    one_batch_fails = [True, True, False, True, True]
    assert named(proven_axes([record], [one_batch_fails])) == {"batch_size": False, "sequence_length": True}


def test_nothing_is_proven_when_the_sizes_of_the_export_fail(record: ComponentRecord) -> None:
    assert named(proven_axes([record], [[False, *[True] * 4]])) == {"batch_size": False, "sequence_length": False}


def test_an_axis_of_two_components_is_proven_where_both_prove_it(record: ComponentRecord) -> None:
    other = msgspec.structs.replace(record, name="other")
    passed = [[True] * 5, [True, False, True, True, True]]
    assert named(proven_axes([record, other], passed)) == {"batch_size": False, "sequence_length": True}


def test_a_sum_of_axes_is_proven_by_its_parts(record: ComponentRecord) -> None:
    """All tokens are past and new ones: a case that varies the past varies the mask's length."""
    total, past, new = "past_sequence_length + sequence_length", "past_sequence_length", "sequence_length"
    inputs = {"attention_mask": {1: total}, "input_ids": {1: new}, "past_key_values.0.key": {2: past}}

    def case(number: int, past_length: int, length: int, varied: str | None) -> CaseRecord:
        shape = {total: past_length + length, past: past_length, new: length}
        return msgspec.structs.replace(record.cases[number], shape=shape, varied=varied)

    cases = [case(0, 4, 6, None), case(1, 0, 6, past), case(2, 4, 1, new)]
    summed = msgspec.structs.replace(record, inputs=inputs, cases=cases)
    assert named(proven_axes([summed], [[True, True, True]])) == {total: True, new: True, past: True}
    assert named(proven_axes([summed], [[True, False, True]])) == {total: False, new: True, past: False}
