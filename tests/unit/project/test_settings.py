"""``onnx-export.yaml``: each file under settings/bad lists, in its last comments, every problem it must give."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from onnx_export_action.project import document
from onnx_export_action.project.settings import Settings, SettingsError, load_settings
from onnx_export_action.project.settings.schema import settings_schema
from onnx_export_action.vocabulary.options import ExportOptions, OutputTolerance
from onnx_export_action.vocabulary.problems import Problem
from onnx_export_action.vocabulary.results import Stage

FIXTURES = Path(__file__).parent / "settings"
BAD = sorted((FIXTURES / "bad").glob("*.yaml"))
GOOD = sorted((FIXTURES / "good").glob("*.yaml"))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two models, samples, and links that lead out of it."""
    root = tmp_path / "repository"
    for folder in (".git", "models/sentiment", "models/no", "data"):
        (root / folder).mkdir(parents=True)
    (root / "models/sentiment/config.json").write_text("{}")
    (root / "data/samples.jsonl").write_text('{"text": "good"}\n')
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret.txt").write_text("secret")
    (root / "link-out").symlink_to(tmp_path / "outside")
    (root / "link-secret.txt").symlink_to(tmp_path / "outside/secret.txt")
    (root / "link-circle").symlink_to(root / "link-circle")
    return root


def load_text(repository: Path, text: str | bytes) -> Settings:
    path = repository / "onnx-export.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_settings(path)


def problems_of(repository: Path, text: str | bytes) -> list[Problem]:
    with pytest.raises(SettingsError) as caught:
        load_text(repository, text)
    return caught.value.problems


@pytest.mark.parametrize("fixture", BAD, ids=lambda path: path.stem)
@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
def test_every_mistake_is_reported_at_its_place(
    fixture: Path, loader: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "syntax" in fixture.stem and loader == "SafeLoader":
        pytest.skip("PyYAML's own parser words syntax errors otherwise")
    monkeypatch.setattr("onnx_export_action.project.document.text._LOADER", getattr(yaml, loader))
    text = fixture.read_text(encoding="utf-8")
    expected = re.findall(r"^# (\d+:\d+: .+)$", text, flags=re.MULTILINE)
    found = [
        str(problem).removeprefix(f"{repository / 'onnx-export.yaml'}:") for problem in problems_of(repository, text)
    ]
    unexpected = [line for line in found if not any(line.startswith(start) for start in expected)]
    missing = [start for start in expected if not any(line.startswith(start) for line in found)]
    assert (missing, unexpected) == ([], [])
    assert len(found) == len(expected)


@pytest.mark.parametrize("fixture", GOOD, ids=lambda path: path.stem)
def test_good_files_load_and_please_the_schema_that_editors_use(fixture: Path, repository: Path) -> None:
    text = fixture.read_text(encoding="utf-8")
    assert load_text(repository, text).targets
    root, problems = document.read_document(repository / "onnx-export.yaml")
    assert root is not None
    assert not problems
    jsonschema_rs.validator_for(settings_schema()).validate(root.plain())


def test_every_key_reaches_the_target(repository: Path) -> None:
    loaded = load_text(repository, (FIXTURES / "good/every_key.yaml").read_text())
    sentiment, generator = loaded.targets
    assert loaded.version == 1
    assert (sentiment.name, sentiment.model, sentiment.line) == ("sentiment", "./models/sentiment", 5)
    assert sentiment.folder == repository / "models/sentiment"
    options = sentiment.options
    assert sentiment.task == "text-classification"
    assert (options.weights, options.opset, options.engine) == ("load", 20, "tracer")
    assert options.shapes == {"batch_size": [1, 3], "sequence_length": [128], "audio_sequence_length": [48000]}
    assert options.samples == repository / "data/samples.jsonl"
    assert options.tolerance.of_variants == {
        "fp32": {"logits": OutputTolerance(atol=1e-4, rtol=1e-3), "0": OutputTolerance(atol=2e-5)},
        "q8": {"logits": OutputTolerance(sqnr_db=12, cosine=0.9, agreement=1)},
    }
    assert options.variants == ("fp32", "fp16", "q8")
    assert options.shard_bytes == 500_000_000
    assert options.high_precision == {"fp16": ["auto"], "q8": ["Gather", "/classifier/*"]}
    assert sentiment.output == repository / "build/sentiment"
    assert (generator.folder, generator.revision) == (None, "refs/pr/1")
    assert generator.task == "text-generation-with-past"
    assert (generator.options.weights, generator.options.opset) == ("random", 17)
    assert generator.output == repository / "artifacts/generator"


def test_what_is_left_out_has_defaults(repository: Path) -> None:
    (target,) = load_text(repository, (FIXTURES / "good/minimal.yaml").read_text()).targets
    assert (target.task, target.fail_on, target.options) == ("auto", "validation", ExportOptions())
    assert (target.revision, target.notes) == (None, [])


def test_merge_keys_give_way_to_own_keys(repository: Path) -> None:
    first, second, third = load_text(repository, (FIXTURES / "good/anchors_and_merge_keys.yaml").read_text()).targets
    assert (second.name, second.model, second.options.shapes) == ("second", first.model, first.options.shapes)
    assert (third.options.opset, third.options.engine) == (15, "tracer")


def test_a_hub_id_without_revision_is_noted(repository: Path) -> None:
    text = "version: 1\ntargets:\n- {name: a, model: org/name}\n- {name: b, model: models/typo, revision: v1}\n"
    unpinned, ambiguous = load_text(repository, text).targets
    assert unpinned.folder is None
    assert unpinned.notes == ["org/name has no revision: its newest commit is exported"]
    assert ambiguous.notes == ["models/typo is taken as a Hub id, because there is no such folder"]


def test_a_missing_folder_is_no_stranger_s_model(repository: Path) -> None:
    (repository / "models/sentiment").mkdir(exist_ok=True)
    with pytest.raises(SettingsError, match=r"there is no folder 'models/sentimnet'") as caught:
        load_text(repository, "version: 1\ntargets:\n- {name: a, model: models/sentimnet}\n")
    assert "did you mean 'models/sentiment'?" in str(caught.value)


def test_fp32_is_made_though_the_variants_do_not_name_it(repository: Path) -> None:
    text = "version: 1\ntargets:\n- {name: a, model: ./models/sentiment, variants: [q8]}\n"
    (target,) = load_text(repository, text).targets
    assert target.notes == ["fp32 is made too, though 'variants' does not name it: the others are made from it"]


def test_paths_are_relative_to_the_file_and_may_reach_the_whole_repository(repository: Path) -> None:
    (repository / "ci").mkdir()
    path = repository / "ci/onnx-export.yaml"
    path.write_text("version: 1\ntargets:\n- {name: a, model: ../models/sentiment}\n")
    (target,) = load_settings(path).targets
    assert target.folder == repository / "models/sentiment"
    assert target.output == repository / "ci/artifacts/a"


def test_a_link_that_stays_inside_is_followed(repository: Path) -> None:
    (repository / "alias").symlink_to(repository / "models/sentiment")
    (target,) = load_text(repository, "version: 1\ntargets:\n- {name: a, model: ./alias}\n").targets
    assert target.folder == repository / "models/sentiment"


def test_settings_that_are_a_link_out_are_not_read(repository: Path) -> None:
    path = repository / "onnx-export.yaml"
    path.symlink_to(repository.parent / "outside/secret.txt")
    with pytest.raises(SettingsError, match=r":1:1: the file is a link out of the repository") as caught:
        load_settings(path)
    assert "secret" not in str(caught.value)


def test_files_that_cannot_be_read_say_why(repository: Path) -> None:
    for path, message in (
        (repository / "link-circle", "the file does not exist"),
        (repository / ("x" * 300), "the file cannot be read: File name too long"),
        (repository / "missing.yaml", "the file does not exist"),
        (repository / "models", "the file is not a file"),
    ):
        with pytest.raises(SettingsError, match=f":1:1: {message}"):
            load_settings(path)


@pytest.mark.parametrize(
    ("raw", "start"),
    [
        (b"", "1:1: the file is empty"),
        (b"version: 1\nname: \xff\xfe", "2:7: the file is not UTF-8 text"),
        ("version: 1".encode("utf-16"), "1:1: the file is not UTF-8 text"),
        (b"version: 1\nname: a\0b", "2:8: the character '\\x00' is not allowed"),
        (b"version: \x1b[31m1", "1:10: the character '\\x1b' is not allowed"),
        (b"#" * (1024 * 1024 + 1), "1:1: the file is larger than 1 MiB"),
        (b"version: " + b"9" * 5000 + b"\ntargets: [{name: a, model: b}]", "1:10: '9999"),
    ],
)
def test_hostile_bytes(repository: Path, raw: bytes, start: str) -> None:
    (problem,) = problems_of(repository, raw)
    assert f"{problem.line}:{problem.column}: {problem.message}".startswith(start)


def test_a_byte_order_mark_and_windows_lines_are_fine(repository: Path) -> None:
    text = "\ufeffversion: 1\r\ntargets:\r\n- name: a\r\n  model: gpt2\r\n  taks: x\r\n"
    (problem,) = problems_of(repository, text)
    assert (problem.line, problem.column) == (5, 3)


def _laughs() -> str:
    levels = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 10)]
    return "\n".join(["a0: &a0 [lol]", *levels])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_laughs(), "values, aliases written out"),
        ("a: &a x\nb: [" + ", ".join(["*a"] * 5000) + "]", "more than 100 aliases"),
        ("a: &a [*a]", "an alias that holds itself"),
        ("[" * 500_000, "nested deeper than 32 levels"),
        ("? " * 250_000, "nested deeper than 32 levels"),
        ("\n".join(" " * depth + "a:" for depth in range(1000)), "nested deeper than 32 levels"),
        ("[" + "1," * 400_000 + "]", "more than 100000 values"),
    ],
)
def test_bombs_are_refused_at_once(repository: Path, text: str, message: str) -> None:
    started = time.process_time()
    (problem,) = problems_of(repository, text)
    assert message in problem.message
    assert time.process_time() - started < 2


def test_bombs_take_no_memory(repository: Path) -> None:
    path = repository / "onnx-export.yaml"
    path.write_text(_laughs())
    program = (
        "import sys; from pathlib import Path\n"
        "from onnx_export_action.project.settings import SettingsError, load_settings\n"
        "try: load_settings(Path(sys.argv[1]))\n"
        "except SettingsError: pass\n"
        # ru_maxrss would start at the size of the process that started this one.
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 200 * 1024


def test_a_flood_of_mistakes_is_cut(repository: Path) -> None:
    found = problems_of(repository, "version: 1\ntargets:\n" + "- {name: ., model: gpt2, taks: 1}\n" * 300)
    assert len(found) == 101
    assert found[-1].message == "500 more problems follow"


def test_the_limits_admit_a_large_repository(repository: Path) -> None:
    text = "version: 1\ntargets:\n" + "".join(
        f"- name: target-{number}\n  model: org/name\n  revision: v1\n  shapes: {{batch_size: [1, 2, 3]}}\n"
        for number in range(1000)
    )
    assert len(load_text(repository, text).targets) == 1000
    (problem,) = problems_of(repository, text + "- {name: last, model: org/name}\n")
    assert problem.message == "targets has more than 1000 entries"


def test_long_words_are_cut_in_messages(repository: Path) -> None:
    found = problems_of(repository, f"version: 1\n{'k' * 1000}: 1\ntargets: [{{name: {'n' * 500_000}, model: gpt2}}]")
    assert [len(str(problem)) < 600 for problem in found] == [True, True]


def test_the_error_is_one_line_per_problem_and_survives_a_process(repository: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_text(repository, "version: 1\ntargets: []\ntaks: 1\n")
    error = caught.value
    path = repository / "onnx-export.yaml"
    assert str(error).splitlines() == [
        f"{path}:2:10: targets is empty: give at least one entry",
        f"{path}:3:1: unknown key 'taks': valid keys are version, defaults, hooks, targets",
    ]
    assert error.as_failure().stage is Stage.PLAN
    assert pickle.loads(pickle.dumps(error)).problems == error.problems


def test_no_tag_runs_anything(repository: Path) -> None:
    before = set(repository.iterdir())
    problems_of(repository, 'version: !!python/object/apply:pathlib.Path.touch ["owned"]\n')
    assert set(repository.iterdir()) == {*before, repository / "onnx-export.yaml"}


def test_the_schema_is_a_schema_and_explains_every_key() -> None:
    schema = settings_schema()
    jsonschema_rs.meta.validate(schema)
    keys = schema["properties"]["targets"]["items"]["properties"]
    assert [key for key, part in keys.items() if not part.get("description")] == []
    assert set(schema["properties"]["defaults"]["properties"]) == set(keys) - {"name", "model"}


def test_reading_settings_needs_no_heavy_package() -> None:
    program = (
        "import sys, onnx_export_action.project.settings, onnx_export_action.project.manifest\n"
        "print([name for name in ('torch', 'transformers', 'onnx', 'onnxruntime', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


_FRAGMENTS = [
    "version: 1",
    "targets:",
    "- name: a",
    "  model: ./models/sentiment",
    "  model: gpt2",
    "  task: no",
    "  shapes: {batch_size: [1, 2]}",
    "  tolerance: {fp32: {logits: 1e-4}}",
    "defaults: &d {opset: 18}",
    "  <<: *d",
    "- *d",
    "  inputs: {a: {0: b}}",
    "? [a]",
    ": b",
    "- {}",
    "~",
    "  name: !!python/name:os.system",
    "  name: 2026-99-99",
    "[",
    "]",
    "{",
    "}",
    "---",
    "&a [*a]",
    "'",
    '"',
    "  samples: data/samples.jsonl",
    "  output: .",
    "  opset: 1.0",
    "  variants: [q8]",
    "!!set {a}",
    "!!int x",
    "!!float",
    "  0: 1",
    "  yes: 1",
    "%",
    "\t- a",
    "\x85a: b",
    "#",
]
_LINES = st.lists(st.sampled_from(_FRAGMENTS), max_size=12).map("\n".join)
_EVERY_KEY = (FIXTURES / "good/every_key.yaml").read_text()
_EDITED = st.builds(
    lambda start, length, inserted: _EVERY_KEY[:start] + inserted + _EVERY_KEY[start + length :],
    st.integers(0, len(_EVERY_KEY)),
    st.integers(0, 30),
    st.text(max_size=10),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.text(max_size=200), _LINES, _EDITED))
@example(text="1_")
@example(text="-1__0_")
def test_any_text_gives_settings_or_a_settings_error(repository: Path, text: str) -> None:
    problems: list[Problem] = []
    try:
        assert load_text(repository, text.encode("utf-8", errors="surrogatepass")).targets
    except SettingsError as error:
        problems = error.problems
        assert len(str(error).splitlines()) == len(problems) > 0  # noqa: PT017 - it may also load
    last_line = len(re.findall("[\n\r\x85\u2028\u2029]", text)) + 2
    assert all(1 <= problem.line <= last_line and problem.column >= 1 for problem in problems)


def numbers_in(schema: dict[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of a target that takes a number, however deep it lies."""
    if "number" in schema.get("type", ()):
        yield place
    for key, inner in schema.get("properties", {}).items():
        yield from numbers_in(inner, (*place, key))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from numbers_in(schema["additionalProperties"], (*place, "logits"))


NUMBERS = sorted(numbers_in(settings_schema()["properties"]["targets"]["items"]))


@pytest.mark.parametrize("place", NUMBERS, ids=".".join)
@pytest.mark.parametrize("written", ["1", "1.0", "1e0", "0.5", "5.0e-1"])
def test_a_number_is_written_whole_or_with_a_fraction(place: tuple[str, ...], written: str, repository: Path) -> None:
    value: Any = yaml.safe_load(written) if written != "1e0" else 1.0
    nested = written
    for key in reversed(place):
        nested = f"{{{key}: {nested}}}"
    variants = f"    variants: [{place[1]}]\n" if place[0] == "tolerance" else ""
    text = f"version: 1\ntargets:\n  - name: a\n    model: ./models/sentiment\n{variants}    {nested[1:-1]}\n"
    [target] = load_text(repository, text).targets
    found: Any = target.options.latency if place[0] == "latency" else target.options.tolerance.of(place[1], "logits")
    assert getattr(found, place[-1] if place[-1] != "logits" else "atol") == value


def test_every_key_that_takes_a_number_is_tried() -> None:
    assert {"latency.max_ms", "latency.max_ratio", "tolerance.fp32.logits.atol"} <= {".".join(one) for one in NUMBERS}
