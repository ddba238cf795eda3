"""Realistic mistakes in the good repository: what a person did, and what must be said where."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from onnx_export_hooks.rules import CONFIG_HOOK, CURRENT_HOOK, MODEL_HOOK, ONNX_HOOK, SAFETENSORS_HOOK
from tests.hooks_corpus.repository import (
    SENTIMENT,
    WEIGHTS,
    classifier,
    write_export,
    write_json,
    write_safetensors,
)

YAML = "onnx-export.yaml"
SENTIMENT_FOLDER = "models/sentiment"
CONFIG = f"{SENTIMENT_FOLDER}/config.json"
WRITER = "models/writer/config.json"
PICTURES = "models/pictures/config.json"
TRANSLATOR = "models/translator/config.json"
TOKENIZER = f"{SENTIMENT_FOLDER}/tokenizer.json"
TOKENIZER_CONFIG = f"{SENTIMENT_FOLDER}/tokenizer_config.json"
WEIGHT_FILE = f"{SENTIMENT_FOLDER}/model.safetensors"
ONNX = "artifacts/sentiment/onnx/model.onnx"
MANIFEST = "artifacts/sentiment/manifest.json"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 1234\n"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


@dataclass(frozen=True)
class Mistake:
    """``make`` breaks the good repository; the hook must report ``rule`` at ``place`` (a path, or path:line)."""

    name: str
    hook: str
    rule: str
    place: str
    make: Callable[[Path], None]


def replaced(path: str, old: str, new: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        text = (root / path).read_text()
        assert old in text, f"{path} has no {old!r}"
        (root / path).write_text(text.replace(old, new, 1))

    return make


def changed(path: str, **values: Any) -> Callable[[Path], None]:
    """Set keys of a JSON file; None removes one."""

    def make(root: Path) -> None:
        read = json.loads((root / path).read_text()) | values
        write_json(root / path, {key: value for key, value in read.items() if value is not None})

    return make


def written(path: str, content: str | bytes) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content.encode() if isinstance(content, str) else content)

    return make


def all_of(*mistakes: Callable[[Path], None]) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        for mistake in mistakes:
            mistake(root)

    return make


def removed(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).unlink()


def linked(path: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        outside = root.parent / "outside.json"
        outside.write_text('{"secret": 1}')
        (root / path).unlink()
        (root / path).symlink_to(outside)

    return make


def weights(shapes: dict[str, tuple[int, ...] | None], dtype: str = "F32") -> Callable[[Path], None]:
    merged = {name: shape for name, shape in (WEIGHTS | shapes).items() if shape is not None}
    return lambda root: write_safetensors(root / WEIGHT_FILE, merged, dtype)


def cut(path: str, keep: int) -> Callable[[Path], None]:
    return lambda root: (root / path).write_bytes((root / path).read_bytes()[:keep])


def sharded(**weight_map: str) -> Callable[[Path], None]:
    """Two shards in place of the one file, and an index; ``a`` lies in the first shard, ``b`` in the second."""

    def make(root: Path) -> None:
        (root / WEIGHT_FILE).unlink()
        for shard, tensor in zip(SHARDS, ("a", "b"), strict=True):
            write_safetensors(root / SENTIMENT_FOLDER / shard, {tensor: (2, 2)})
        write_json(root / SENTIMENT_FOLDER / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})

    return make


def saved(model: Callable[[], onnx.ModelProto]) -> Callable[[Path], None]:
    return lambda root: onnx.save(model(), root / ONNX)


def _without_opset() -> onnx.ModelProto:
    model = classifier()
    del model.opset_import[:]
    return model


def _foreign_operator() -> onnx.ModelProto:
    return classifier(extra=(helper.make_node("Trick", ["mean"], ["unused"], domain="com.example"),))


def _unfed_node() -> onnx.ModelProto:
    return classifier(extra=(helper.make_node("Relu", ["nothing"], ["unused"]),))


def _given_twice() -> onnx.ModelProto:
    return classifier(extra=(helper.make_node("Relu", ["numbers"], ["mean"]),))


def _fixed_batch() -> onnx.ModelProto:
    model = classifier()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    return model


def _renamed_output() -> onnx.ModelProto:
    model = classifier()
    model.graph.output[0].name = model.graph.node[-1].output[0] = "scores"
    return model


def _short_weight() -> onnx.ModelProto:
    model = classifier()
    model.graph.initializer[1].raw_data = b"\0\0\0"
    return model


def _external(location: str) -> onnx.ModelProto:
    model = classifier()
    weight = model.graph.initializer[1]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "12")):
        weight.external_data.add(key=key, value=value)
    return model


def _new_opset_and_manifest(root: Path) -> None:
    onnx.save(classifier(opset=99), root / ONNX)


def _short_external_data(root: Path) -> None:
    onnx.save(_external("model.onnx_data"), root / ONNX)
    (root / ONNX).with_name("model.onnx_data").write_bytes(b"short")


def _second_piece_short(root: Path) -> None:
    onnx.save(_external("model.onnx_data_1"), root / ONNX)
    for name, content in (("model.onnx_data", b"long enough "), ("model.onnx_data_1", b"short")):
        (root / ONNX).with_name(name).write_bytes(content)


def _unlisted(root: Path) -> None:
    onnx.save(classifier(), (root / ONNX).with_name("model_quantized.onnx"))


def _huge(root: Path) -> None:
    with (root / ONNX).open("r+b") as stream:
        stream.truncate(101 * 2**20)


def _duplicate(root: Path) -> None:
    replaced(CONFIG, '"hidden_size": 32,', '"hidden_size": 32,\n  "hidden_size": 64,')(root)
    weights({name: (shape[0], 64) for name, shape in WEIGHTS.items() if len(shape) == 2})(root)


def _tokenizer_grew(root: Path) -> None:
    read = json.loads((root / TOKENIZER).read_text())
    read["added_tokens"].append({"id": 20, "content": "<new>", "special": True})
    write_json(root / TOKENIZER, read)


def _more_labels(root: Path) -> None:
    labels = {"0": "a", "1": "b", "2": "c", "3": "d"}
    changed(CONFIG, id2label=labels, label2id={name: int(key) for key, name in labels.items()})(root)
    weights({"classifier.weight": (4, 32), "classifier.bias": (4,)})(root)


def _new_model_type(root: Path) -> None:
    changed(CONFIG, model_type="distilbert", architectures=["DistilBertForSequenceClassification"])(root)


def _retrained(root: Path) -> None:
    path = root / WEIGHT_FILE
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


def _own_code(root: Path) -> None:
    config = {"model_type": "my-bert", "auto_map": {"AutoModel": "modeling.MyBert"}, "architectures": ["MyBert"]}
    write_json(root / "models/own/config.json", config)


def _llama(root: Path) -> None:
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 3}
    write_json(root / WRITER, {"architectures": ["LlamaForCausalLM"], "model_type": "llama", **sizes})


TYPO_OF_TASK = replaced(YAML, "task: text-classification", "task: text-clasification")

MISTAKES = (
    # onnx-export.yaml
    Mistake("a key is misspelt", CONFIG_HOOK, "settings", f"{YAML}:7", replaced(YAML, "model:", "modle:")),
    Mistake("a task is misspelt", CONFIG_HOOK, "settings", f"{YAML}:8", TYPO_OF_TASK),
    Mistake(
        "a tolerance for a variant that is not made",
        CONFIG_HOOK,
        "settings",
        f"{YAML}:10",
        replaced(YAML, "tolerance: {", "tolerance: {q8: {logits: {cosine: 0.9}}, "),
    ),
    Mistake(
        "a folder is misspelt",
        CONFIG_HOOK,
        "settings",
        f"{YAML}:7",
        replaced(YAML, "models/sentiment", "models/sentimnet"),
    ),
    Mistake(
        "two targets of one name",
        CONFIG_HOOK,
        "settings",
        f"{YAML}:11",
        replaced(YAML, "name: writer", "name: sentiment"),
    ),
    Mistake(
        "indented by a tab", CONFIG_HOOK, "settings", f"{YAML}:8", replaced(YAML, "  task: text-c", "\ttask: text-c")
    ),
    Mistake(
        "a model outside the repository",
        CONFIG_HOOK,
        "settings",
        f"{YAML}:7",
        replaced(YAML, "./models/sentiment", "../sentiment"),
    ),
    Mistake(
        "an opset as text",
        CONFIG_HOOK,
        "settings",
        f"{YAML}:8",
        replaced(YAML, "  task: text-c", "  opset: '18'\n  task: text-c"),
    ),
    Mistake(
        "a rule is misspelt",
        CONFIG_HOOK,
        "unknown-rule",
        f"{YAML}:4",
        replaced(YAML, "pickle-weights", "pickel-weights"),
    ),
    Mistake(
        "a task of other models",
        CONFIG_HOOK,
        "task-not-exportable",
        f"{YAML}:8",
        replaced(YAML, "text-classification", "object-detection"),
    ),
    Mistake("a folder without a model", CONFIG_HOOK, "target-model", f"{YAML}:7", removed(CONFIG)),
    Mistake("weights forgotten", CONFIG_HOOK, "target-model", f"{YAML}:7", removed(WEIGHT_FILE)),
    Mistake(
        "sentence-transformers without pooling",
        MODEL_HOOK,
        "sentence-modules",
        "models/search/modules.json:1",
        all_of(
            written("models/search/config.json", '{"model_type": "bert"}'),
            written("models/search/modules.json", '[{"path": "", "type": "sentence_transformers.models.Transformer"}]'),
        ),
    ),
    Mistake(
        "a declared input is misspelt",
        CONFIG_HOOK,
        "unknown-input",
        f"{YAML}:10",
        replaced(YAML, "  tolerance", "  inputs: {input_idz: {0: batch_size, 1: sequence_length}}\n  tolerance"),
    ),
    Mistake(
        "inputs were declared after the export",
        CURRENT_HOOK,
        "stale-export",
        MANIFEST,
        replaced(YAML, "  tolerance", "  inputs: {input_ids: {0: batch_size, 1: sequence_length}}\n  tolerance"),
    ),
    Mistake("an output is misspelt", CONFIG_HOOK, "unknown-output", f"{YAML}:10", replaced(YAML, "logits", "logit")),
    Mistake(
        "a tolerance of 10", CONFIG_HOOK, "loose-tolerance", f"{YAML}:10", replaced(YAML, "atol: 1.0e-4", "atol: 10")
    ),
    Mistake(
        "longer than the model", CONFIG_HOOK, "shape-out-of-range", f"{YAML}:9", replaced(YAML, "[1, 64]", "[1, 128]")
    ),
    # config.json and its company
    Mistake(
        "a comma too many",
        MODEL_HOOK,
        "json-syntax",
        f"{CONFIG}:23",
        replaced(CONFIG, '"positive": 2\n  }\n', '"positive": 2\n  },\n'),
    ),
    Mistake(
        "a comma missing",
        MODEL_HOOK,
        "json-syntax",
        f"{CONFIG}:8",
        replaced(CONFIG, '"hidden_size": 32,', '"hidden_size": 32'),
    ),
    Mistake("a comment", MODEL_HOOK, "json-syntax", f"{CONFIG}:2", replaced(CONFIG, "{\n", "{\n  // ours\n")),
    Mistake("a merge conflict", MODEL_HOOK, "json-syntax", f"{CONFIG}:2", replaced(CONFIG, "{\n", "{\n<<<<<<< HEAD\n")),
    Mistake(
        "a word of Python",
        MODEL_HOOK,
        "json-syntax",
        f"{CONFIG}:2",
        replaced(CONFIG, "{\n", '{\n  "use_cache": True,\n'),
    ),
    Mistake("a byte order mark", MODEL_HOOK, "json-syntax", f"{CONFIG}:1", replaced(CONFIG, "{\n", "\ufeff{\n")),
    Mistake("an empty file", MODEL_HOOK, "json-syntax", f"{TOKENIZER_CONFIG}:1", written(TOKENIZER_CONFIG, "")),
    Mistake("a list", MODEL_HOOK, "json-syntax", f"{TOKENIZER_CONFIG}:1", written(TOKENIZER_CONFIG, "[]")),
    Mistake("a tokenizer cut short", MODEL_HOOK, "json-syntax", TOKENIZER, cut(TOKENIZER, 200)),
    Mistake(
        "infinity",
        MODEL_HOOK,
        "json-not-finite",
        f"{CONFIG}:2",
        replaced(CONFIG, "{\n", '{\n  "layer_norm_eps": Infinity,\n'),
    ),
    Mistake("a key twice", MODEL_HOOK, "duplicate-key", f"{CONFIG}:9", _duplicate),
    Mistake("a link to the home folder", MODEL_HOOK, "link-outside", f"{TOKENIZER_CONFIG}:1", linked(TOKENIZER_CONFIG)),
    Mistake("no model type", MODEL_HOOK, "missing-model-type", f"{CONFIG}:1", changed(CONFIG, model_type=None)),
    Mistake(
        "a misspelt model type", MODEL_HOOK, "unknown-model-type", f"{CONFIG}:5", changed(CONFIG, model_type="berrt")
    ),
    Mistake("code of its own", MODEL_HOOK, "remote-code", "models/own/config.json:3", _own_code),
    Mistake(
        "a misspelt attribute",
        MODEL_HOOK,
        "misspelt-attribute",
        f"{WRITER}:7",
        replaced(WRITER, '"n_embd": 32', '"n_emdb": 768'),
    ),
    Mistake(
        "two letters exchanged",
        MODEL_HOOK,
        "misspelt-attribute",
        f"{PICTURES}:9",
        replaced(PICTURES, '"image_size": 32', '"iamge_size": 224'),
    ),
    Mistake("a size as text", MODEL_HOOK, "attribute-type", f"{CONFIG}:8", changed(CONFIG, hidden_size="32")),
    Mistake("no layers", MODEL_HOOK, "attribute-type", f"{WRITER}:9", changed(WRITER, n_layer=0)),
    Mistake(
        "heads do not divide", MODEL_HOOK, "attention-heads", f"{CONFIG}:9", changed(CONFIG, num_attention_heads=5)
    ),
    Mistake("heads of gpt2 do not divide", MODEL_HOOK, "attention-heads", f"{WRITER}:8", changed(WRITER, n_head=6)),
    Mistake("key-value heads do not divide", MODEL_HOOK, "attention-heads", f"{WRITER}:9", _llama),
    Mistake("a token added to the tokenizer", MODEL_HOOK, "vocabulary", f"{CONFIG}:7", _tokenizer_grew),
    Mistake(
        "the vocabulary of another model", MODEL_HOOK, "vocabulary", f"{CONFIG}:7", changed(CONFIG, vocab_size=30522)
    ),
    Mistake(
        "the vocabulary of gpt2's default", MODEL_HOOK, "token-id", f"{WRITER}:11", changed(WRITER, bos_token_id=50256)
    ),
    Mistake(
        "generation ends with a foreign token",
        MODEL_HOOK,
        "token-id",
        "models/writer/generation_config.json:2",
        changed("models/writer/generation_config.json", eos_token_id=[99, 128009]),
    ),
    Mistake(
        "a classifier without padding",
        MODEL_HOOK,
        "missing-token-id",
        f"{WRITER}:1",
        changed(WRITER, architectures=["GPT2ForSequenceClassification"]),
    ),
    Mistake(
        "nothing to start with",
        MODEL_HOOK,
        "missing-token-id",
        f"{TRANSLATOR}:1",
        changed(TRANSLATOR, decoder_start_token_id=None),
    ),
    Mistake(
        "a special token of another tokenizer",
        MODEL_HOOK,
        "special-token",
        f"{TOKENIZER_CONFIG}:3",
        changed(TOKENIZER_CONFIG, pad_token="<pad>"),
    ),
    Mistake("num_labels against the names", MODEL_HOOK, "labels", f"{CONFIG}:24", changed(CONFIG, num_labels=5)),
    Mistake(
        "labels from 1",
        MODEL_HOOK,
        "labels",
        f"{PICTURES}:13",
        changed(PICTURES, id2label={"1": "cat", "2": "dog"}, label2id={"cat": 1, "dog": 2}),
    ),
    Mistake(
        "label2id is not its inverse",
        MODEL_HOOK,
        "labels",
        f"{PICTURES}:16",
        changed(PICTURES, label2id={"cat": 1, "dog": 0}),
    ),
    Mistake(
        "a class removed from the names",
        MODEL_HOOK,
        "labels",
        f"{CONFIG}:14",
        changed(CONFIG, id2label={"0": "no", "1": "yes"}, label2id={"no": 0, "yes": 1}),
    ),
    Mistake(
        "texts longer than the positions",
        MODEL_HOOK,
        "positions",
        f"{TOKENIZER_CONFIG}:2",
        changed(TOKENIZER_CONFIG, model_max_length=512),
    ),
    Mistake(
        "generation beyond the positions",
        MODEL_HOOK,
        "positions",
        "models/writer/generation_config.json:3",
        changed("models/writer/generation_config.json", max_length=1024),
    ),
    Mistake(
        "images of another size",
        MODEL_HOOK,
        "processor-size",
        "models/pictures/preprocessor_config.json:2",
        changed("models/pictures/preprocessor_config.json", size={"height": 224, "width": 224}),
    ),
    Mistake(
        "an architecture of another task",
        MODEL_HOOK,
        "task-not-exportable",
        f"{PICTURES}:2",
        changed(PICTURES, architectures=["ViTForObjectDetection"]),
    ),
    Mistake("a class more than was exported", MODEL_HOOK, "graph-change", f"{CONFIG}:5", _more_labels),
    Mistake("another model type than was exported", MODEL_HOOK, "graph-change", f"{CONFIG}:5", _new_model_type),
    # weights
    Mistake("a download that stopped", SAFETENSORS_HOOK, "safetensors-header", WEIGHT_FILE, cut(WEIGHT_FILE, 5000)),
    Mistake(
        "an error page as weights",
        SAFETENSORS_HOOK,
        "safetensors-header",
        WEIGHT_FILE,
        written(WEIGHT_FILE, "<html>404</html>"),
    ),
    Mistake("a pointer as a plain file", SAFETENSORS_HOOK, "lfs-pointer", WEIGHT_FILE, written(WEIGHT_FILE, POINTER)),
    Mistake(
        "a damaged pointer",
        SAFETENSORS_HOOK,
        "lfs-pointer",
        WEIGHT_FILE,
        written(WEIGHT_FILE, POINTER.replace("oid", "old")),
    ),
    Mistake(
        "weights of a wider model",
        SAFETENSORS_HOOK,
        "weights-shape",
        f"{CONFIG}:8",
        weights({"bert.embeddings.word_embeddings.weight": (20, 64)}),
    ),
    Mistake(
        "a layer missing",
        SAFETENSORS_HOOK,
        "weights-shape",
        f"{CONFIG}:10",
        weights({"bert.encoder.layer.1.attention.self.query.weight": None}),
    ),
    Mistake(
        "positions of another model",
        SAFETENSORS_HOOK,
        "weights-shape",
        f"{CONFIG}:12",
        weights({"bert.embeddings.position_embeddings.weight": (512, 32)}),
    ),
    Mistake(
        "another number format", SAFETENSORS_HOOK, "weights-dtype", f"{CONFIG}:6", changed(CONFIG, dtype="bfloat16")
    ),
    Mistake(
        "scales that nothing reads",
        SAFETENSORS_HOOK,
        "weights-without-scale",
        f"{CONFIG}:6",
        weights({"bert.encoder.layer.0.attention.self.query.weight_scale": (1,)}),
    ),
    Mistake(
        "an adapter in the weights",
        SAFETENSORS_HOOK,
        "unmerged-adapter",
        f"{SENTIMENT_FOLDER}/model.safetensors",
        weights({"bert.encoder.layer.0.attention.self.query.lora_A.default.weight": (4, 32)}),
    ),
    Mistake(
        "an adapter beside the weights",
        SAFETENSORS_HOOK,
        "unmerged-adapter",
        f"{SENTIMENT_FOLDER}/adapter_config.json",
        written(f"{SENTIMENT_FOLDER}/adapter_config.json", '{"peft_type": "LORA"}'),
    ),
    Mistake(
        "an index that names no shard",
        SAFETENSORS_HOOK,
        "shard-index",
        f"{SENTIMENT_FOLDER}/model.safetensors.index.json:5",
        sharded(a=SHARDS[0], b="model-00003-of-00002.safetensors"),
    ),
    Mistake(
        "a tensor in the other shard",
        SAFETENSORS_HOOK,
        "shard-index",
        f"{SENTIMENT_FOLDER}/model.safetensors.index.json:5",
        sharded(a=SHARDS[0], b=SHARDS[0]),
    ),
    Mistake(
        "a shard outside the folder",
        SAFETENSORS_HOOK,
        "shard-index",
        f"{SENTIMENT_FOLDER}/model.safetensors.index.json:5",
        sharded(a=SHARDS[0], b="../../etc/passwd"),
    ),
    Mistake(
        "weights as a pickle",
        SAFETENSORS_HOOK,
        "pickle-weights",
        "models/writer/pytorch_model.bin",
        written("models/writer/pytorch_model.bin", b"PK\x03\x04zip"),
    ),
    # ONNX
    Mistake("an export that stopped", ONNX_HOOK, "onnx-unreadable", ONNX, cut(ONNX, 300)),
    Mistake("an error page as a model", ONNX_HOOK, "onnx-unreadable", ONNX, written(ONNX, "<html>404</html>")),
    Mistake("an empty model", ONNX_HOOK, "onnx-unreadable", ONNX, written(ONNX, "")),
    Mistake("a future operator set", ONNX_HOOK, "onnx-opset", ONNX, _new_opset_and_manifest),
    Mistake("no operator set", ONNX_HOOK, "onnx-opset", ONNX, saved(_without_opset)),
    Mistake("an operator of a library", ONNX_HOOK, "onnx-domain", ONNX, saved(_foreign_operator)),
    Mistake("a node without its input", ONNX_HOOK, "onnx-graph", ONNX, saved(_unfed_node)),
    Mistake("a value given twice", ONNX_HOOK, "onnx-graph", ONNX, saved(_given_twice)),
    Mistake("a weight cut short", ONNX_HOOK, "onnx-graph", ONNX, saved(_short_weight)),
    Mistake("a batch size baked in", ONNX_HOOK, "onnx-signature", ONNX, saved(_fixed_batch)),
    Mistake("an output renamed", ONNX_HOOK, "onnx-signature", ONNX, saved(_renamed_output)),
    Mistake(
        "weights beside it forgotten",
        ONNX_HOOK,
        "onnx-external-data",
        ONNX,
        saved(lambda: _external("model.onnx_data")),
    ),
    Mistake(
        "weights outside the folder", ONNX_HOOK, "onnx-external-data", ONNX, saved(lambda: _external("../../../secret"))
    ),
    Mistake("weights beside it cut short", ONNX_HOOK, "onnx-external-data", ONNX, _short_external_data),
    Mistake("its second piece of weights cut short", ONNX_HOOK, "onnx-external-data", ONNX, _second_piece_short),
    Mistake("edited after the export", ONNX_HOOK, "onnx-hash", ONNX, saved(_short_weight)),
    Mistake("a pointer to another file", ONNX_HOOK, "onnx-hash", ONNX, written(ONNX, POINTER)),
    Mistake("above GitHub's limit", ONNX_HOOK, "onnx-size", ONNX, _huge),
    Mistake(
        "a file that nobody exported", ONNX_HOOK, "manifest", "artifacts/sentiment/onnx/model_quantized.onnx", _unlisted
    ),
    # the export against the repository
    Mistake(
        "the configuration changed since",
        CURRENT_HOOK,
        "stale-export",
        MANIFEST,
        changed(CONFIG, hidden_dropout_prob=0.2),
    ),
    Mistake("the weights changed since", CURRENT_HOOK, "stale-export", MANIFEST, _retrained),
    Mistake(
        "another opset is asked for",
        CURRENT_HOOK,
        "stale-export",
        MANIFEST,
        replaced(YAML, "  task: text-c", "  opset: 17\n  task: text-c"),
    ),
    Mistake(
        "another task is asked for",
        CURRENT_HOOK,
        "stale-export",
        MANIFEST,
        replaced(YAML, "task: text-classification", "task: feature-extraction"),
    ),
    Mistake(
        "the export's configuration was edited",
        CURRENT_HOOK,
        "stale-export",
        MANIFEST,
        changed("artifacts/sentiment/config.json", id2label={"0": "x"}),
    ),
    Mistake("the model was not committed", CURRENT_HOOK, "missing-artifact", MANIFEST, removed(ONNX)),
    Mistake("a manifest edited by hand", CURRENT_HOOK, "manifest", MANIFEST, changed(MANIFEST, opset="18")),
)

__all__ = ["MISTAKES", "SENTIMENT", "Mistake", "write_export"]
