"""Whatever lies in the files: no traceback, no hang, little memory."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from onnx_export_hooks.rules import MODEL_HOOK, ONNX_HOOK, SAFETENSORS_HOOK
from tests.hooks_corpus.repository import (
    PICTURES,
    SENTIMENT,
    SETTINGS,
    TRANSLATOR,
    WRITER,
    classifier,
    write_json,
    write_repository,
)
from tests.unit.hooks.test_rules import LIGHT_HOOKS, hook_main

FUZZ = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from([0, 1, 3, -1, 10**9])
    | st.floats()
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
BASES = {"sentiment": SENTIMENT, "writer": WRITER, "pictures": PICTURES, "translator": TRANSLATOR}
FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "preprocessor_config.json",
    "vocab.json",
    "model.safetensors.index.json",
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_repository(tmp_path_factory.mktemp("fuzz") / "repository")


@pytest.fixture
def repository(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(shared)
    return shared


def run_all(capsys: pytest.CaptureFixture[str]) -> None:
    for hook in LIGHT_HOOKS:
        code = hook_main(hook)(["."])
        printed = capsys.readouterr().out
        assert (code, bool(printed)) in {(0, False), (1, True)}


@FUZZ
@given(name=st.sampled_from(sorted(BASES)), data=st.data())
def test_any_value_of_any_attribute(
    name: str, data: st.DataObject, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = BASES[name]
    extra = (
        "num_labels",
        "auto_map",
        "torch_dtype",
        "head_dim",
        "text_config",
        "decoder",
        "vision_config",
        "feat_size",
    )
    keys = st.sampled_from([*base, *extra])
    config = base | data.draw(st.dictionaries(keys, VALUES, min_size=1, max_size=3))
    write_json(repository / "models" / name / "config.json", config)
    run_all(capsys)


@FUZZ
@given(
    name=st.sampled_from(FILES),
    content=VALUES.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=200)
    | st.text(alphabet='{}[]",:1a\\ \n', max_size=60).map(str.encode),
)
def test_any_content_of_any_file(
    name: str, content: bytes, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = repository / "models" / "sentiment" / name
    before = path.read_bytes() if path.exists() else None
    path.write_bytes(content)
    run_all(capsys)
    path.unlink() if before is None else path.write_bytes(before)


@FUZZ
@given(
    tokenizer=st.fixed_dictionaries({"model": st.fixed_dictionaries({"vocab": VALUES}), "added_tokens": VALUES}),
    tokens=st.dictionaries(st.sampled_from(["pad_token", "added_tokens_decoder", "model_max_length"]), VALUES),
)
def test_any_tokenizer(
    tokenizer: dict[str, Any], tokens: dict[str, Any], repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_json(repository / "models/sentiment/tokenizer.json", tokenizer)
    write_json(repository / "models/sentiment/tokenizer_config.json", tokens)
    assert hook_main(MODEL_HOOK)(["models"]) in {0, 1}


HEADER_FIELDS = st.fixed_dictionaries(
    {"dtype": VALUES | st.just("F32"), "shape": VALUES | st.lists(st.integers(0, 4)), "data_offsets": VALUES}
)


@FUZZ
@given(
    header=st.dictionaries(st.text(max_size=4), VALUES | HEADER_FIELDS).map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=100),
    length=st.none() | st.integers(0, 2**64 - 1),
    rest=st.binary(max_size=20),
)
def test_any_safetensors_header(
    header: bytes, length: int | None, rest: bytes, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = struct.pack("<Q", len(header) if length is None else length) + header + rest
    (repository / "models/writer/model.safetensors").write_bytes(raw)
    assert hook_main(SAFETENSORS_HOOK)(["models/writer"]) in {0, 1}


@FUZZ
@given(data=st.data())
def test_any_damage_to_an_onnx_file(data: st.DataObject, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = bytearray(classifier().SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(raw) - 1))
        raw[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    (repository / "damaged.onnx").write_bytes(raw)
    assert hook_main(ONNX_HOOK)(["damaged.onnx"]) in {0, 1}


@FUZZ
@given(text=st.text(max_size=100), position=st.integers(0, len(SETTINGS)))
def test_any_text_in_the_settings(
    text: str, position: int, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings_path = repository / "onnx-export.yaml"
    settings_path.write_bytes((SETTINGS[:position] + text + SETTINGS[position:]).encode("utf-8", "surrogatepass"))
    run_all(capsys)
    settings_path.write_text(SETTINGS)


def deep_onnx(depth: int) -> bytes:
    """A graph in a node of a graph in a node ..."""
    graph = b""
    for _ in range(depth):
        attribute = b"\x32" + varint(len(graph)) + graph
        node = b"\x2a" + varint(len(attribute)) + attribute
        graph = b"\x0a" + varint(len(node)) + node
    return b"\x08\x08\x3a" + varint(len(graph)) + graph


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def many_values() -> bytes:
    return b"\x08\x08\x3a" + varint(8_000_000) + b"\x0a\x00" * 4_000_000


def many_sizes() -> bytes:
    tensor = b"\x0a" + varint(4_000_000) + b"\x01" * 4_000_000
    graph = b"\x2a" + varint(len(tensor)) + tensor
    return b"\x08\x08\x3a" + varint(len(graph)) + graph


BOMBS = {
    "config.json": b'{"model_type": "bert", "x": ' + b"[" * 200_000,
    "generation_config.json": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "tokenizer_config.json": b'{"model_max_length": ' + b"9" * 1_000_000 + b"}",
    "deep.onnx": deep_onnx(300),
    "many.onnx": many_values(),
    "sizes.onnx": many_sizes(),
    "model.safetensors": struct.pack("<Q", 2_000_000) + b"[" * 2_000_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_seconds_and_little_memory(name: str, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    write_json(tmp_path / "config.json", SENTIMENT)
    (tmp_path / name).write_bytes(BOMBS[name])
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)); "
    hook = {".onnx": "check_onnx_files", ".safetensors": "check_safetensors"}.get(
        Path(name).suffix, "check_model_config"
    )
    code = f"{limit}import sys; from onnx_export_hooks.{hook} import main; sys.exit(main(['.']))"
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert time.monotonic() - started < 30


def test_a_model_of_a_billion_layers_is_not_written_out(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(repository / "models/writer/config.json", WRITER | {"n_layer": 10**9})
    started = time.process_time()
    hook_main(MODEL_HOOK)(["models/writer"])
    assert time.process_time() - started < 2


def test_a_valid_model_with_graphs_inside_is_accepted(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import onnx
    from onnx import TensorProto

    branch = helper.make_graph(
        [helper.make_node("Identity", ["mean"], ["inner"])],
        "branch",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)],
    )
    flag = helper.make_node("Constant", [], ["flag"], value=helper.make_tensor("f", TensorProto.BOOL, [1], [True]))
    choice = helper.make_node("If", ["flag"], ["chosen"], then_branch=branch, else_branch=branch)
    onnx.save(classifier(extra=(flag, choice)), repository / "branches.onnx")
    assert hook_main(ONNX_HOOK)(["branches.onnx"]) == 0
