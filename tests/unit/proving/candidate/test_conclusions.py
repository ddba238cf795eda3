"""Why a file is not proven: the gravest reason first, and its words."""

from __future__ import annotations

import msgspec
import pytest

from onnx_export_action.proving.candidate.conclusions import Evidence, why_not_proven
from onnx_export_action.vocabulary.results import (
    AxisResult,
    CaseProblem,
    CaseResult,
    Cause,
    GenerationResult,
    OutputResult,
    Padding,
    QualityResult,
    ToleranceSource,
    Verdict,
)

RIGHT = CaseResult(id="right", shape={}, mask=Padding.NONE, verdict=Verdict.PASS, margin=0.1)
WRONG = CaseResult(
    id="wrong", shape={}, mask=Padding.NONE, verdict=Verdict.FAIL, problem=CaseProblem.VALUES, margin=7.0, message="off"
)
OUTPUT = OutputResult(name="logits", atol=1e-4, rtol=0.0, sqnr_db=11.0, cosine=0.9, argmax_agreement=0.5)
AXIS = AxisResult(input="ids", axis=0, name="batch_size", proven=True)
GENERATED = GenerationResult(prompts=1, tokens=3, equal=True)
PROVEN = Evidence(variant="q8", cases=[RIGHT], outputs=[OUTPUT], axes=[AXIS], generation=GENERATED)


def test_nothing_speaks_against_a_right_file() -> None:
    assert why_not_proven(PROVEN) is None


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        ({"min_sqnr_db": 20.0, "cost_db": 24.0}, "keeps 11.0 dB of signal over noise, 20.0 dB are needed"),
        ({"min_cosine": 0.99}, "the cosine of logits is 0.900000, 0.99 is needed"),
        ({"min_agreement": 0.75}, "chooses the same in 50.00% of the rows, 75.00% are needed"),
    ],
)
def test_what_a_variant_loses_is_said_in_its_unit(measure: dict[str, float], said: str) -> None:
    demanding = QualityResult(source=ToleranceSource.CALIBRATED, **measure)
    output = msgspec.structs.replace(OUTPUT, quality=demanding)
    found = why_not_proven(Evidence(variant="q8", cases=[RIGHT], outputs=[output]))
    assert found is not None
    assert said in found.message
    assert "high_precision" in (found.hint or "")


def test_the_gravest_reason_is_given() -> None:
    vacuous = msgspec.structs.replace(OUTPUT, vacuous=True)
    unproven = msgspec.structs.replace(AXIS, proven=False)
    differs = msgspec.structs.replace(GENERATED, equal=False, first_difference="token 2")
    reasons = [
        Evidence(variant="q8", misstored=["weight"], cases=[WRONG]),
        Evidence(variant="q8", cases=[WRONG, RIGHT], generation=differs),
        Evidence(variant="q8", cases=[RIGHT], generation=differs, outputs=[vacuous]),
        Evidence(variant="q8", cases=[RIGHT], stopped_generating="it stopped", outputs=[vacuous]),
        Evidence(variant="q8", cases=[RIGHT], outputs=[vacuous], axes=[unproven]),
        Evidence(variant="q8", cases=[RIGHT], axes=[unproven], active_dropouts=["drop"]),
        Evidence(variant="q8", cases=[RIGHT], active_dropouts=["drop"]),
    ]
    found = [why_not_proven(evidence) for evidence in reasons]
    assert [one.message.split(" ")[0] if one else None for one in found] == [
        "it",
        "1",
        "greedy",
        "greedy",
        "the",
        "axes",
        "dropout",
    ]
    causes = [one.cause if one else None for one in found]
    assert causes == [Cause.VALUES, None, Cause.PAST, Cause.PAST, Cause.VALUES, Cause.AXIS, Cause.VALUES]


def test_many_weights_are_counted() -> None:
    found = why_not_proven(Evidence(variant="q8", misstored=["a", "b", "c", "d", "e"]))
    assert found is not None
    assert "a, b, c and 2 more" in found.message
