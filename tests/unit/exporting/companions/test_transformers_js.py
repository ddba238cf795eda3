"""What config.json tells transformers.js, read as transformers.js 4.3.2 reads it."""

from __future__ import annotations

import itertools
from pathlib import PurePosixPath
from typing import Any

import pytest

from onnx_export_action.exporting.companions.transformers_js import KEY, with_transformers_js_config
from onnx_export_action.vocabulary.manifest import FileRecord, OnnxFileRecord, TensorRecord
from onnx_export_action.vocabulary.variants import VARIANTS, variant_path

HASH = "0" * 64
DEVICES = ("wasm", "webgpu", "cpu")


def files(pieces: dict[str, int], stem: str = "model", cache: dict[str, str] | None = None) -> list[OnnxFileRecord]:
    """The files of one component, by variant with the number of pieces, and the types of their caches."""
    made = []
    for variant, count in pieces.items():
        path = variant_path(f"onnx/{stem}.onnx", variant)
        inputs = {"input_ids": TensorRecord(dtype="int64", shape=["batch_size", "sequence_length"])}
        if cache is not None:
            inputs["past_key_values.0.key"] = TensorRecord(dtype=cache[variant], shape=["batch_size", 2, "past", 8])
        made.append(
            OnnxFileRecord(
                path=path,
                bytes=1,
                sha256=HASH,
                components=[stem],
                variant=variant,
                engine="tracer",
                opset=18,
                inputs=inputs,
                outputs={},
                external_data=[FileRecord(path=f"{path}_{n}", bytes=1, sha256=HASH) for n in range(count)],
            )
        )
    return made


def told_to(device: str, config: dict[str, Any]) -> dict[str, Any]:
    """``getSession``: what a device's own part says goes before the common part."""
    common = config.get(KEY, {})
    return {**common, **common.get("device_config", {}).get(device, {})}


def fetched(device: str, config: dict[str, Any], stem: str = "model", dtype: str | None = None) -> tuple[str, int]:
    """The file that is fetched without a word of the caller (or with ``dtype``), and how many pieces with it."""
    custom = told_to(device, config)
    word = dtype or custom.get("dtype")
    word = word.get(stem) if isinstance(word, dict) else word
    chosen = word if word in VARIANTS else {"wasm": "q8"}.get(device, "fp32")
    name = PurePosixPath(variant_path(f"{stem}.onnx", chosen)).name
    said = custom.get("use_external_data_format")
    if isinstance(said, dict):
        return name, int(said.get(name, said.get(stem, 0)))
    return name, int(said or 0)


def test_nothing_is_said_where_the_defaults_are_right() -> None:
    config = {"model_type": "bert", "hidden_size": 8}
    assert with_transformers_js_config(config, files({"fp32": 0, "q8": 0, "bf16": 0})) == config


def test_pieces_are_told_by_file_and_nothing_else_changes() -> None:
    config = {"b": 1, "a": [1.0, {"x": None}]}
    told = with_transformers_js_config(config, files({"fp32": 3, "q8": 1, "fp16": 0, "bf16": 2}))
    assert told[KEY] == {"use_external_data_format": {"model.onnx": 3, "model_quantized.onnx": 1}}
    assert list(told) == ["b", "a", KEY]
    assert {name: told[name] for name in config} == config


@pytest.mark.parametrize(
    "said",
    [
        None,
        True,
        False,
        1,
        2,
        {"model": 1},
        {"model.onnx": 2},
        {"model.onnx": 1, "model_quantized.onnx": 1},
        {"model": 2, "elsewhere.onnx": 7},
        "yes",
        [],
    ],
)
@pytest.mark.parametrize("device_said", [None, True, {"model": 1}])
@pytest.mark.parametrize("pieces", [(0, 0), (1, 0), (2, 1), (1, 1)])
def test_pieces_are_right_whatever_was_said(said: Any, device_said: Any, pieces: tuple[int, int]) -> None:
    made = files({"fp32": pieces[0], "q8": pieces[1]})
    given: dict[str, Any] = {} if said is None else {"use_external_data_format": said}
    if device_said is not None:
        given["device_config"] = {"webgpu": {"use_external_data_format": device_said, "free_dimension_overrides": {}}}
    config = {KEY: given} if given else {}
    told = with_transformers_js_config(config, made)
    for device, (dtype, count) in itertools.product(DEVICES, zip(("fp32", "q8"), pieces, strict=True)):
        assert fetched(device, told, dtype=dtype)[1] == count, (device, dtype)
    if isinstance(said, dict) and "elsewhere.onnx" in said:
        assert told[KEY]["use_external_data_format"]["elsewhere.onnx"] == 7


@pytest.mark.parametrize("said", [True, {"model": 1}, {"model.onnx": 1, "model_quantized.onnx": True}])
def test_what_is_true_of_the_files_stays_as_it_was_written(said: Any) -> None:
    made = files({"fp32": 1, "q8": 1})
    config = {KEY: {"use_external_data_format": said, "dtype": "q8", "free_dimension_overrides": {"batch_size": 1}}}
    assert with_transformers_js_config(config, made) == config


SETS = [
    chosen
    for size in (1, 2, 3)
    for chosen in itertools.combinations([name for name, row in VARIANTS.items() if row.in_transformers_js], size)
]


@pytest.mark.parametrize("variants", SETS, ids="+".join)
@pytest.mark.parametrize("said", [{}, {"dtype": "q4"}, {"dtype": {"model": "q8"}}, {"dtype": "auto"}, {"dtype": 3}])
def test_every_device_fetches_a_file_that_is_there(variants: tuple[str, ...], said: dict[str, Any]) -> None:
    told = with_transformers_js_config({KEY: said}, files(dict.fromkeys(variants, 0)))
    there = {PurePosixPath(variant_path("model.onnx", variant)).name for variant in variants}
    for device in DEVICES:
        assert fetched(device, told)[0] in there, told
    if said.get("dtype") in variants:
        assert told[KEY] == said


def test_all_files_of_a_model_are_fetched_in_one_type() -> None:
    made = [
        *files({"fp32": 0, "q8": 0, "q4": 0}, "encoder_model"),
        *files({"fp32": 0, "q4": 0}, "decoder_model_merged"),
    ]
    told = with_transformers_js_config({}, made)
    assert [fetched("wasm", told, stem)[0] for stem in ("encoder_model", "decoder_model_merged")] == [
        "encoder_model_q4.onnx",
        "decoder_model_merged_q4.onnx",
    ]


def test_version_3_is_told_which_caches_are_in_float16() -> None:
    cache = {"fp32": "float32", "fp16": "float16", "q8": "float32", "q4f16": "float16"}
    made = files(dict.fromkeys(cache, 0), cache=cache)
    assert with_transformers_js_config({}, made)[KEY] == {"kv_cache_dtype": {"fp16": "float16", "q4f16": "float16"}}
    for said in ("float32", "float16", {"q8": "float16"}):
        told = with_transformers_js_config({KEY: {"kv_cache_dtype": said}}, made)[KEY]["kv_cache_dtype"]
        assert {variant: told.get(variant, "float32") for variant in cache} == cache


@pytest.mark.parametrize("given", [None, [], "x", {"device_config": 3}, {"device_config": {"wasm": 4, "webgpu": []}}])
def test_what_makes_no_sense_is_no_obstacle(given: Any) -> None:
    told = with_transformers_js_config({KEY: given}, files({"fp32": 1}))
    assert told[KEY]["use_external_data_format"] == {"model.onnx": 1}
