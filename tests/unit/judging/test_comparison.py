"""What changed between two sets of results, and what of it breaks callers."""

from __future__ import annotations

from typing import Any

from onnx_export_action.judging.comparison import Difference, compare
from onnx_export_action.judging.policy import comparable, regressions
from onnx_export_action.report.differences import before_and_after
from onnx_export_action.vocabulary.results import (
    GenerationResult,
    InputResult,
    LatencyResult,
    ModelInfo,
    TargetResult,
)
from tests.unit.report.samples import file, output, target


def differences(base: Any, head: Any) -> list[Difference]:
    (change,) = compare([target(files=[base])], [target(files=[head])])
    return change.differences


def ids(*shape: int | str, name: str = "input_ids", dtype: str = "int64") -> InputResult:
    return InputResult(name=name, dtype=dtype, shape=list(shape))


def of_task(task: str, **more: Any) -> TargetResult:
    return target(model=ModelInfo(source="m", task=task), files=[file(**more)])


def test_an_input_that_is_new_or_gone_is_breaking() -> None:
    both = [ids("b", "s"), ids("b", "s", name="token_type_ids")]
    for before, after in ((both, both[:1]), (both[:1], both)):
        (difference,) = differences(file(inputs=before), file(inputs=after))
        assert (difference.aspect, difference.breaking) == ("inputs", True)
        assert difference.before + difference.after == ("token_type_ids",)


def test_an_axis_that_became_fixed_or_a_type_that_changed_is_breaking_and_a_new_name_is_not() -> None:
    before = file(inputs=[ids("batch_size", 16)])
    for after, breaking in (
        (ids(2, 16), True),
        (ids("batch_size", 32), True),
        (ids("batch_size", 16, 1), True),
        (ids("batch_size", 16, dtype="int32"), True),
        (ids("batch_size", "sequence_length"), False),
        (ids("b", 16), False),
    ):
        (difference,) = differences(before, file(inputs=[after]))
        assert difference.aspect == "input"
        assert before_and_after(difference)[0] == "input_ids int64[batch_size, 16]"
        assert difference.breaking is breaking


def test_an_output_of_another_type_or_rank_is_breaking() -> None:
    before = file(outputs=[output(dtype="float32", shape=["b", 3])])
    for changes in ({"dtype": "float16", "shape": ["b", 3]}, {"dtype": "float32", "shape": ["b", "s", 3]}):
        (difference,) = differences(before, file(outputs=[output(**changes)]))
        assert (difference.aspect, difference.breaking) == ("output", True)
    assert not compare([target(files=[before])], [target(files=[file(outputs=[output()])])])  # an older result


def test_error_agreement_generation_latency_and_operators_are_compared() -> None:
    before = file(
        outputs=[output(margin=0.1, argmax_agreement=1.0)],
        latency=LatencyResult(onnx_ms=4.0, torch_ms=9.0),
        generation=GenerationResult(prompts=3, tokens=32, equal=True),
        operators={"MatMul": 72, "Add": 50, "Softmax": 12},
    )
    after = file(
        outputs=[output(margin=0.4, argmax_agreement=0.97)],
        latency=LatencyResult(onnx_ms=2.0, torch_ms=9.0),
        generation=GenerationResult(prompts=3, tokens=32, equal=False),
        operators={"MatMul": 36, "Add": 50, "com.microsoft.Attention": 12},
    )
    found = {one.aspect: before_and_after(one) for one in differences(before, after)}
    assert found == {
        "tolerance used": ("0.10", "0.40"),
        "largest error": ("3.1e-06", "3.1e-06"),
        "agreement": ("100 %", "97 %"),
        "generation": ("PyTorch's tokens", "other tokens"),
        "latency": ("4.00 ms", "2.00 ms"),
        "operators": (
            "MatMul 72, Softmax 12, com.microsoft.Attention 0",
            "MatMul 36, Softmax 0, com.microsoft.Attention 12",
        ),
    }
    assert not any(one.breaking for one in differences(before, after))


def test_small_moves_are_noise() -> None:
    before = file(latency=LatencyResult(onnx_ms=4.0, torch_ms=9.0))
    after = file(latency=LatencyResult(onnx_ms=4.8, torch_ms=9.0), bytes=90_900_000)
    assert not compare([target(files=[before])], [target(files=[after])])


def test_two_tasks_of_one_target_are_each_compared_with_their_own() -> None:
    base = [of_task("feature-extraction", opset=17), of_task("text-classification", opset=18)]
    head = [of_task("text-classification", opset=18), of_task("feature-extraction", opset=18)]
    (change,) = compare(base, head)
    assert [(one.aspect, one.before, one.after) for one in change.differences] == [("opset", 17, 18)]
    # One task alone ran: the other's file is not gone.
    assert not regressions(base, head[:1])
    assert comparable(base, head[:1]) == base[1:]


def test_another_task_under_the_same_name_breaks_callers() -> None:
    (change,) = compare([of_task("feature-extraction")], [of_task("text-classification")])
    assert [(one.aspect, one.breaking) for one in change.differences] == [("task", True)]


def test_a_file_that_is_gone_or_new_is_said() -> None:
    changes = compare([target("a"), target("b")], [target("b"), target("c")])
    assert [(change.target, change.kind) for change in changes] == [("c", "new"), ("a", "gone")]
