"""A result proves what its numbers carry: real ones are believed, and of a forged one no field can be changed alone."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from onnx_export_action.judging.evidence import believed, objection_to, objections
from onnx_export_action.judging.policy import exit_code_of, verdict_of
from onnx_export_action.report.render import render_json, render_markdown
from onnx_export_action.vocabulary.results import (
    ExitCode,
    Failure,
    FileResult,
    ModelInfo,
    Stage,
    TargetResult,
    Verdict,
    encode,
)
from tests.proofs import RECORDED, proven_file, recorded

NAMES = [path.stem for path in RECORDED]

# What no verdict rests on, by its place in the list of files. A number that is a maximum or a bound rests on nothing
# where another one is larger; what a reader sees beside the proof can be invented.
DESCRIPTIONS = {
    "engine",
    "opset",
    "operators",
    "call_ms",
    "latency",
    "similarities",
    "task_metrics",
    "inputs.dtype",
    "inputs.name",  # of one whose axes do not vary
    "inputs.shape",  # another name for an axis that varies
    "outputs.dtype",
    "outputs.shape",
    "outputs.cosine",
    "outputs.max_rel",
    "outputs.top5_agreement",
    "outputs.padded_max_abs",
    "outputs.error_decades",
    "outputs.worst.case",
    "outputs.worst.index",
    "outputs.noise_floor",  # counts where the noise is smaller
    "outputs.rms_noise_floor",
    "outputs.quality.cost_db",
    "cases.id",
    "cases.shape",  # one size of many
    "cases.mask",
    "cases.outputs.cosine",
    "cases.outputs.max_rel",
    "cases.outputs.sqnr_db",
    "cases.outputs.argmax_agreement",
    "cases.outputs.top5_agreement",
    "cases.outputs.padded_max_abs",
    "cases.outputs.worst.case",
    "cases.outputs.worst.index",
    "generation.prompts",
    "generation.tokens",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_real_result_is_believed(name: str) -> None:
    result = recorded(name)
    assert believed(result) is result
    assert verdict_of(result) is Verdict.PASS
    assert [list(objections(file)) for file in result.files] == [[] for _ in result.files]


@pytest.mark.parametrize("variant", ["fp32", "fp16", "q8", "O1"])
def test_a_made_up_result_that_holds_together_is_believed(variant: str) -> None:
    assert objection_to(proven_file(variant=variant)) is None


@functools.cache
def plain(name: str) -> Any:
    return json.loads(msgspec.json.encode(recorded(name)))


def _leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*path, number))
    else:
        yield path, value


@functools.cache
def leaves(name: str) -> list[tuple[str | int, ...]]:
    """The places of all fields that a proof rests on and that are not empty."""
    found = _leaves(plain(name)["files"])
    return [path for path, value in found if _words(path) not in DESCRIPTIONS and value not in (None, [], {})]


def _words(path: tuple[str | int, ...]) -> str:
    words = ".".join(part for part in path if isinstance(part, str))
    return next((known for known in DESCRIPTIONS if words.startswith(f"{known}.")), words)


def _worse(path: tuple[str | int, ...], value: Any) -> st.SearchStrategy[Any]:
    """What a forger, or a fault, could write instead."""
    if isinstance(value, bool):
        return st.just(not value)
    if _words(path) in ("path", "sha256", "external_sha256", "variant", "worst_output"):
        return st.sampled_from(["", "x"] if path[-1] != "path" else [""])
    if isinstance(value, str):
        return st.sampled_from(["", "fail", f"{value}x"])
    if _words(path) == "bytes":
        return st.sampled_from([0, -1])
    if isinstance(value, int):
        return st.integers(value + 1, value + 10**9) | st.integers(-(10**9), -1)
    if _words(path) == "outputs.sqnr_db":
        return st.floats(-100.0, value - 40.0)
    # Errors and tolerances are larger by a factor (a mean is bounded by the largest error alone), missing or negative.
    larger = st.floats(1e6, 1e9).map(lambda factor: (value or 1.0) * factor)
    return larger | st.none() | st.floats(-1e9, -1e-3)


def forged(name: str, path: tuple[str | int, ...], value: Any) -> TargetResult | None:
    """The result with one field changed; None where reading refuses it."""
    changed = copy.deepcopy(plain(name))
    place = changed["files"]
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    try:
        return msgspec.json.decode(json.dumps(changed), type=TargetResult)
    except msgspec.ValidationError:
        return None


@settings(deadline=None)
@given(st.data())
def test_no_field_that_a_proof_rests_on_can_be_changed_alone(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES))
    path = data.draw(st.sampled_from(leaves(name)))
    before = plain(name)["files"]
    for part in path:
        before = before[part]
    result = forged(name, path, data.draw(_worse(path, before)))
    if result is not None:
        assert verdict_of(result) is not Verdict.PASS, _words(path)
        assert believed(result).verdict is not Verdict.PASS


def drop_cases(file: FileResult) -> None:
    file.cases = []


def drop_all_but_one_case(file: FileResult) -> None:
    file.cases = file.cases[:1]


def drop_outputs(file: FileResult) -> None:
    file.outputs = []


def drop_one_output(file: FileResult) -> None:
    file.outputs = file.outputs[1:]


def drop_axes(file: FileResult) -> None:
    file.axes = []


def drop_inputs(file: FileResult) -> None:
    file.inputs = []


def drop_numbers_of_a_case(file: FileResult) -> None:
    file.cases[0].outputs = []


def repeat_a_case(file: FileResult) -> None:
    file.cases.append(file.cases[0])


def repeat_an_output(file: FileResult) -> None:
    file.outputs.append(file.outputs[0])


def fail_a_case(file: FileResult) -> None:
    file.cases[-1].verdict = Verdict.FAIL


def stop_a_case(file: FileResult) -> None:
    file.cases[-1].message = "ONNX Runtime stopped"


def vacuous(file: FileResult) -> None:
    file.outputs[0].vacuous = True


def unequal_tokens(file: FileResult) -> None:
    assert file.generation is not None
    file.generation.equal = False


def hidden_tokens(file: FileResult) -> None:
    assert file.generation is not None
    file.generation.token_agreement = 0.5


def huge_error(file: FileResult) -> None:
    for numbers in (file.outputs[0], file.cases[0], file.cases[0].outputs[0]):
        numbers.margin = 1e9


def widened_everywhere(file: FileResult) -> None:
    """Tolerance, error and margin agree; the noise that the tolerance comes from does not."""
    for numbers in (file.outputs[0], *(case.outputs[0] for case in file.cases)):
        numbers.margin = (numbers.margin or 0.0) / 1e6
    file.outputs[0].atol *= 1e6


def no_demand(file: FileResult) -> None:
    file.outputs[0].quality = None


def lower_demand(file: FileResult) -> None:
    assert file.outputs[0].quality is not None
    file.outputs[0].quality.min_sqnr_db = 0.1


def failure(file: FileResult) -> None:
    file.failure = Failure(stage=Stage.VALIDATE, message="it differs")


FORGERIES = [
    *(("bert", change) for change in (drop_cases, drop_all_but_one_case, drop_outputs, drop_axes, drop_inputs)),
    *(("gpt2", change) for change in (drop_one_output, unequal_tokens, hidden_tokens, huge_error, repeat_an_output)),
    *(("vit", change) for change in (drop_numbers_of_a_case, repeat_a_case, fail_a_case, stop_a_case, vacuous)),
    *(("ts", change) for change in (widened_everywhere, failure)),
    *(("bert fp16", change) for change in (no_demand, lower_demand)),
]


@pytest.mark.parametrize(("name", "change"), FORGERIES, ids=lambda value: getattr(value, "__name__", value))
def test_a_forged_pass_is_refused_with_its_reason_wherever_it_is_read(name: str, change: Any) -> None:
    result = recorded(name.split(maxsplit=1)[0])
    file = result.files[1 if name.endswith("fp16") else 0]
    change(file)
    judged = believed(result)
    assert judged.verdict is Verdict.ERROR
    reasons = [one.failure.message for one in judged.files if one.failure is not None]
    assert reasons
    assert verdict_of(result) is Verdict.ERROR
    assert exit_code_of([result]) is ExitCode.ERROR
    assert json.loads(render_json([judged]))["verdict"] == "error"
    assert reasons[0][:40] in render_markdown([judged])


def test_what_a_result_says_against_itself_is_believed() -> None:
    result = recorded("vit")
    result.files[0].verdict = result.verdict = Verdict.FAIL
    assert believed(result) is result
    assert exit_code_of([result]) is ExitCode.FAILED


def test_a_target_s_pass_over_its_own_failure_or_one_file_named_twice_is_refused() -> None:
    stopped, twice = recorded("vit"), recorded("vit")
    stopped.failure = Failure(stage=Stage.EXPORT, message="the tracer stopped")
    twice.files.append(twice.files[0])
    for result in (stopped, twice):
        assert believed(result).verdict is verdict_of(result) is Verdict.ERROR


numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@example(0.0, 0.0, 0.0, 0.0)
@given(numbers, numbers, numbers, numbers)
def test_any_numbers_are_judged(
    margin: float | None, max_abs: float | None, noise: float | None, sqnr_db: float | None
) -> None:
    file = proven_file()
    for one in (file.outputs[0], file.cases[0], file.cases[0].outputs[0]):
        one.margin, one.max_abs = margin, max_abs
    file.outputs[0].noise, file.outputs[0].sqnr_db = noise, sqnr_db
    result = TargetResult(target="t", model=ModelInfo(source="m"), verdict=Verdict.PASS, files=[file])
    assert believed(result).verdict is Verdict.ERROR
    encode(believed(result))
