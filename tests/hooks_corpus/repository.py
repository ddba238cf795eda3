"""A repository that every hook accepts: four models, one of them with weights, a tokenizer and a committed export."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from onnx_export_action.project.manifest import fingerprint, sha256_of, write_manifest
from onnx_export_action.vocabulary.manifest import FileRecord, Manifest, ModelRecord, OnnxFileRecord, TensorRecord

SETTINGS = """\
version: 1
hooks:
  ignore:
    pickle-weights: ["models/old/*"]
targets:
- name: sentiment
  model: ./models/sentiment
  task: text-classification
  shapes: {sequence_length: [1, 64]}
  tolerance: {fp32: {logits: {atol: 1.0e-4, rtol: 1.0e-4}}}
- name: writer
  model: ./models/writer
  weights: random
- name: pictures
  model: ./models/pictures
  weights: random
- name: translator
  model: ./models/translator
  task: text2text-generation-with-past
  weights: random
- name: elsewhere
  model: org/elsewhere
  revision: 0123456789abcdef0123456789abcdef01234567
"""
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{number}" for number in range(15))]
SENTIMENT: dict[str, Any] = {
    "architectures": ["BertForSequenceClassification"],
    "model_type": "bert",
    "dtype": "float32",
    "vocab_size": len(WORDS),
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "id2label": {"0": "negative", "1": "neutral", "2": "positive"},
    "label2id": {"negative": 0, "neutral": 1, "positive": 2},
}
WRITER: dict[str, Any] = {
    "architectures": ["GPT2LMHeadModel"],
    "model_type": "gpt2",
    "vocab_size": 100,
    "n_embd": 32,
    "n_head": 4,
    "n_layer": 2,
    "n_positions": 64,
    "bos_token_id": 99,
    "eos_token_id": 99,
}
PICTURES: dict[str, Any] = {
    "architectures": ["ViTForImageClassification"],
    "model_type": "vit",
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "image_size": 32,
    "patch_size": 8,
    "id2label": {"0": "cat", "1": "dog"},
    "label2id": {"cat": 0, "dog": 1},
}
TRANSLATOR: dict[str, Any] = {
    "architectures": ["T5ForConditionalGeneration"],
    "model_type": "t5",
    "vocab_size": 100,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 64,
    "num_heads": 4,
    "num_layers": 2,
    "decoder_start_token_id": 0,
    "pad_token_id": 0,
    "eos_token_id": 1,
}
WEIGHTS = {
    "bert.embeddings.word_embeddings.weight": (len(WORDS), 32),
    "bert.embeddings.position_embeddings.weight": (64, 32),
    "bert.encoder.layer.0.attention.self.query.weight": (32, 32),
    "bert.encoder.layer.1.attention.self.query.weight": (32, 32),
    "classifier.weight": (3, 32),
    "classifier.bias": (3,),
}


def write_repository(root: Path) -> Path:
    """Write it into an empty folder, as a git repository with nothing committed."""
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "--quiet", root], check=True)
    (root / "onnx-export.yaml").write_text(SETTINGS)
    models = root / "models"
    for name, config in (("writer", WRITER), ("pictures", PICTURES), ("translator", TRANSLATOR)):
        write_json(models / name / "config.json", config)
    write_json(models / "writer" / "generation_config.json", {"eos_token_id": 99, "max_length": 64})
    write_json(models / "pictures" / "preprocessor_config.json", {"size": {"height": 32, "width": 32}})
    _write_sentiment(models / "sentiment")
    write_export(root)
    # A web page's settings: not a model, and not our business.
    (root / "page").mkdir()
    (root / "page" / "config.json").write_text("{ // with comments\n 'color': 'red', }")
    return root


def _write_sentiment(folder: Path) -> None:
    write_json(folder / "config.json", SENTIMENT)
    tokenizer = {
        "added_tokens": [{"id": number, "content": WORDS[number], "special": True} for number in range(5)],
        "model": {"type": "WordPiece", "vocab": {word: number for number, word in enumerate(WORDS)}},
    }
    write_json(folder / "tokenizer.json", tokenizer)
    write_json(folder / "tokenizer_config.json", {"model_max_length": 64, "pad_token": "[PAD]", "cls_token": "[CLS]"})
    write_safetensors(folder / "model.safetensors", WEIGHTS)


def write_export(root: Path) -> None:
    """The export of sentiment, as `onnx-export run` leaves it."""
    model, artifacts = root / "models" / "sentiment", root / "artifacts" / "sentiment"
    path = artifacts / "onnx" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(classifier(), path)
    (artifacts / "config.json").write_bytes((model / "config.json").read_bytes())
    origin = fingerprint(model)
    ids = TensorRecord(dtype="int64", shape=["batch_size", "sequence_length"])
    manifest = Manifest(
        target="sentiment",
        model=ModelRecord(
            source="models/sentiment",
            model_type="bert",
            task="text-classification",
            config_sha256=origin.config_sha256,
            weight_hashes=origin.weight_hashes,
        ),
        seed=0,
        engine="auto",
        opset=18,
        variants=["fp32"],
        packages={"torch": "2.13.0"},
        files=[
            OnnxFileRecord(
                **_record(path, "onnx/model.onnx"),
                components=["model"],
                variant="fp32",
                engine="tracer",
                opset=18,
                inputs=dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), ids),
                outputs={"logits": TensorRecord(dtype="float32", shape=["batch_size", 3])},
            )
        ],
        other_files=[FileRecord(**_record(artifacts / "config.json", "config.json"))],
    )
    write_manifest(manifest, artifacts / "manifest.json")


def _record(path: Path, name: str) -> dict[str, Any]:
    return {"path": name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}


def classifier(*, opset: int = 18, labels: int | str = 3, extra: tuple[onnx.NodeProto, ...] = ()) -> onnx.ModelProto:
    """A small model with BERT's inputs: the mean of the ids times a weight."""
    ids = ["batch_size", "sequence_length"]
    names = ("input_ids", "attention_mask", "token_type_ids")
    rows = labels if isinstance(labels, int) else 3
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers", "axes"], ["mean"], keepdims=1),
        *extra,
        helper.make_node("MatMul", ["mean", "weight"], ["logits"]),
    ]
    weights = [
        helper.make_tensor("axes", TensorProto.INT64, [1], struct.pack("<q", 1), raw=True),
        helper.make_tensor("weight", TensorProto.FLOAT, [1, rows], bytes(4 * rows), raw=True),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ids) for name in names],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch_size", labels])],
        initializer=weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def write_safetensors(path: Path, shapes: Mapping[str, tuple[int, ...]], dtype: str = "F32") -> None:
    """Weights of zeros under these names."""
    header: dict[str, Any] = {}
    end = 0
    for name, shape in shapes.items():
        begin, size = end, {"F32": 4, "F16": 2}[dtype]
        for length in shape:
            size *= length
        end = begin + size
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    raw = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(end))
