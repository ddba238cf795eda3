"""The collection of broken files: each fault names its export, the cause it must be accused of, and how it is made.

A fault that changes the graph is a function of a :class:`Surgery`; one that spoils the file gets the saved file's path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnx_export_action.vocabulary.results import Cause
from tests.faults.exports import INT8, INT8_STEM
from tests.faults.surgery import Array, Surgery, attribute

LAYERS = 2


@dataclass(frozen=True)
class Fault:
    """``causes`` are the kinds that the message may name; ``isolated`` says that the file may end its process."""

    name: str
    export: str
    causes: frozenset[Cause]
    operate: Callable[[Surgery], None] = lambda _: None
    spoil: Callable[[Path], None] = lambda _: None
    stem: str = "model"
    isolated: bool = False

    @property
    def slug(self) -> str:
        """A folder's name."""
        return f"{self.export} {self.stem} {self.name}".replace(" ", "-").replace("%", "percent").replace(",", "")


FAULTS: list[Fault] = []


def fault(
    name: str, export: str, *causes: Cause, stem: str = "model"
) -> Callable[[Callable[[Surgery], None]], Callable[[Surgery], None]]:
    """Register a change of the graph."""

    def register(operate: Callable[[Surgery], None]) -> Callable[[Surgery], None]:
        FAULTS.append(Fault(name, export, frozenset(causes), operate=operate, stem=stem))
        return operate

    return register


def spoiled(
    name: str, export: str, *causes: Cause, isolated: bool = False
) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Register a change of the file on disk."""

    def register(spoil: Callable[[Path], None]) -> Callable[[Path], None]:
        FAULTS.append(Fault(name, export, frozenset(causes), spoil=spoil, isolated=isolated))
        return spoil

    return register


def break_file(fault: Fault, model: onnx.ModelProto, folder: Path) -> Path:
    """Write the broken file of a good model into a folder."""
    surgery = Surgery(model)
    fault.operate(surgery)
    path = folder / f"{fault.stem}.onnx"
    onnx.save(surgery.in_order(), path)
    fault.spoil(path)
    return path


# --- axes -------------------------------------------------------------------------------------------------------------

_SCORES = "encoder/layer.0/attention/self/MatMul"
_HIDDEN = "/model/embeddings/LayerNorm/LayerNormalization_output_0"


@fault("batch axis fixed", "encoder", Cause.AXIS)
def _(s: Surgery) -> None:
    s.fix_axis("input_ids", 0, 2)


@fault("sequence axis fixed", "encoder", Cause.AXIS)
def _(s: Surgery) -> None:
    s.fix_axis("attention_mask", 1, 16)


@fault("sequence axis of an output declared fixed", "encoder", Cause.AXIS)
def _(s: Surgery) -> None:
    s.fix_axis("last_hidden_state", 1, 16)


@fault("length fixed deep in a Reshape", "encoder", Cause.AXIS)
def _(s: Surgery) -> None:
    node = s.node("encoder/layer.1/attention/self/Reshape_4")
    node.input[1] = s.constant([-1, 16, 32], np.int64)


@fault("batch fixed deep in a Reshape", "encoder", Cause.AXIS)
def _(s: Surgery) -> None:
    node = s.node("encoder/layer.1/attention/self/Reshape_4")
    node.input[1] = s.constant([2, -1, 32], np.int64)


@fault("past length fixed", "decoder", Cause.AXIS)
def _(s: Surgery) -> None:
    s.fix_axis("past_key_values.1.value", 2, 16)


@fault("batch fixed deep in a Reshape", "vision", Cause.AXIS)
def _(s: Surgery) -> None:
    s.node("vit/embeddings/patch_embeddings/Reshape").input[1] = s.constant([2, 32, -1], np.int64)


@fault("wrong beyond 64 positions", "encoder", Cause.AXIS)
def _(s: Surgery) -> None:
    s.disturb_where(_HIDDEN, s.add("Greater", s.size("input_ids", 1), s.constant(64, np.int64)))


@fault("wrong beyond 64 positions", "decoder", Cause.AXIS, Cause.PAST)
def _(s: Surgery) -> None:
    s.disturb_where("logits", s.add("Greater", s.size("attention_mask", 1), s.constant(64, np.int64)))


@fault("wrong at a batch above 2", "encoder", Cause.AXIS)
def _(s: Surgery) -> None:
    s.disturb_where(_HIDDEN, s.add("Greater", s.size("input_ids", 0), s.constant(2, np.int64)))


@fault("wrong at a batch of 1", "vision", Cause.AXIS)
def _(s: Surgery) -> None:
    s.disturb_where("logits", s.add("Equal", s.size("pixel_values", 0), s.constant(1, np.int64)))


@fault("wrong at a single token", "decoder", Cause.AXIS, Cause.PAST)
def _(s: Surgery) -> None:
    s.disturb_where("logits", s.add("Equal", s.size("input_ids", 1), s.constant(1, np.int64)))


@fault("rows of the batch in reverse order", "encoder", Cause.VALUES, Cause.AXIS)
def _(s: Surgery) -> None:
    backward = [s.constant([value], np.int64) for value in (-1, -(2**31), 0, -1)]
    s.after("last_hidden_state", lambda name: s.add("Slice", name, *backward))


@fault("rows of the batch mixed", "reader", Cause.AXIS)
def _(s: Surgery) -> None:
    def change(name: str) -> str:
        mean = s.add("ReduceMean", name, s.constant([0], np.int64), keepdims=1)
        return s.add("Add", name, s.add("Mul", mean, s.constant(0.1, np.float32)))

    s.after("start_logits", change)


@fault("the last position's logits only", "decoder", Cause.AXIS)
def _(s: Surgery) -> None:
    last = [s.constant([value], np.int64) for value in (-1, 2**31, 1)]
    s.after("logits", lambda name: s.add("Slice", name, *last))


# --- masks ------------------------------------------------------------------------------------------------------------


def _ignore(s: Surgery, name: str) -> None:
    one = helper.make_tensor("one", TensorProto.INT64, [1], [1])
    readers = [node for node in s.graph.node if name in node.input]
    s.replace_reads(name, s.add("ConstantOfShape", s.add("Shape", name), value=one), nodes=readers)


@fault("mask ignored", "encoder", Cause.MASK)
def _(s: Surgery) -> None:
    _ignore(s, "attention_mask")


@fault("mask inverted", "encoder", Cause.MASK)
def _(s: Surgery) -> None:
    s.after("attention_mask", lambda name: s.add("Sub", s.constant(1, np.int64), name))


@fault("last column of the mask ignored", "encoder", Cause.MASK)
def _(s: Surgery) -> None:
    def change(name: str) -> str:
        ends = [s.constant([value], np.int64) for value in (0, -1, 1)]
        last = s.add(
            "Slice", name, s.constant([-1], np.int64), s.constant([2**31], np.int64), s.constant([1], np.int64)
        )
        one = s.add("Add", s.add("Mul", last, s.constant(0, np.int64)), s.constant(1, np.int64))
        return s.add("Concat", s.add("Slice", name, *ends), one, axis=1)

    s.after("attention_mask", change)


@fault("mask moved by one position", "encoder", Cause.MASK)
def _(s: Surgery) -> None:
    def change(name: str) -> str:
        first = s.add("Slice", name, *(s.constant([value], np.int64) for value in (0, 1, 1)))
        rest = s.add("Slice", name, *(s.constant([value], np.int64) for value in (0, -1, 1)))
        return s.add("Concat", first, rest, axis=1)

    s.after("attention_mask", change)


@fault("mask ignored in the second layer", "encoder", Cause.MASK)
def _(s: Surgery) -> None:
    add = s.node("encoder/layer.1/attention/self/Add")
    add.input[1] = s.add("Mul", add.input[1], s.constant(0.0, np.float32))
    # 0 times -inf is no number: the mask's bias is finite in none of its uses, so take its place altogether.
    add.input[1] = s.constant(0.0, np.float32)


@fault("mask ignored", "decoder", Cause.MASK)
def _(s: Surgery) -> None:
    _ignore(s, "attention_mask")


@fault("mask inverted", "decoder", Cause.MASK, Cause.VALUES)
def _(s: Surgery) -> None:
    s.after("attention_mask", lambda name: s.add("Sub", s.constant(1, np.int64), name))


@fault("left-padding positions wrong", "decoder", Cause.MASK)
def _(s: Surgery) -> None:
    def change(name: str) -> str:
        total = s.size("attention_mask", 1)
        start = s.add("Sub", total, s.size("input_ids", 1))
        counted = s.add("Range", start, total, s.constant(1, np.int64))
        return s.add("Add", s.add("Mul", name, s.constant(0, np.int64)), counted)

    s.after("position_ids", change)


@fault("encoder's mask ignored", "encoder-decoder", Cause.MASK, stem="decoder_model")
def _(s: Surgery) -> None:
    _ignore(s, "encoder_attention_mask")


@fault("mask ignored", "encoder-decoder", Cause.MASK, stem="encoder_model")
def _(s: Surgery) -> None:
    _ignore(s, "attention_mask")


@fault("NaN for a fully masked row", "encoder", Cause.MASK)
def _(s: Surgery) -> None:
    real = s.add("ReduceMax", "attention_mask", s.constant([1], np.int64), keepdims=1)
    empty = s.add("Unsqueeze", s.add("Equal", real, s.constant(0, np.int64)), s.constant([2], np.int64))
    s.after("last_hidden_state", lambda name: s.add("Where", empty, s.constant(np.nan, np.float32), name))


@fault("token types ignored", "encoder", Cause.VALUES)
def _(s: Surgery) -> None:
    s.after("token_type_ids", lambda name: s.add("Mul", name, s.constant(0, np.int64)))


# --- past -------------------------------------------------------------------------------------------------------------


def _past_names() -> Iterator[str]:
    for layer in range(LAYERS):
        yield from (f"past_key_values.{layer}.{part}" for part in ("key", "value"))


@fault("past ignored", "decoder", Cause.PAST)
def _(s: Surgery) -> None:
    for name in _past_names():
        s.after(name, lambda past: s.add("Mul", past, s.constant(0.0, np.float32)))


@fault("past values of one layer ignored", "decoder", Cause.PAST)
def _(s: Surgery) -> None:
    s.after("past_key_values.1.value", lambda past: s.add("Mul", past, s.constant(0.0, np.float32)))


@fault("past behind the new tokens", "decoder", Cause.PAST)
def _(s: Surgery) -> None:
    for name in ("Concat_3", "Concat_4"):
        node = s.node(f"transformer/h.0/attn/{name}")
        node.input[:] = reversed(node.input)


@fault("one cache layer exchanged", "decoder", Cause.PAST)
def _(s: Surgery) -> None:
    names = {"past_key_values.0.key": "past_key_values.1.key", "past_key_values.1.key": "past_key_values.0.key"}
    for node in s.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


@fault("keys and values of the cache exchanged on the way out", "decoder", Cause.PAST)
def _(s: Surgery) -> None:
    names = {"present.0.key": "present.0.value", "present.0.value": "present.0.key"}
    kept = {name: s.add("Identity", name) for name in names}
    for node in s.graph.node:
        if node.op_type != "Identity":
            node.input[:] = [kept.get(name, name) for name in node.input]
    for node in s.graph.node:
        if node.op_type != "Identity":
            node.output[:] = [f"own.{name}" if name in names else name for name in node.output]
    for node in s.graph.node:
        node.input[:] = [f"own.{name}" if name in names else name for name in node.input]
    for name, other in names.items():
        s.graph.node.append(helper.make_node("Identity", [f"own.{other}"], [name]))


@fault("cache given back without the past", "decoder", Cause.PAST)
def _(s: Surgery) -> None:
    node = s.node("transformer/h.1/attn/Concat_4")
    new = node.input[1]
    node.output[0] = "whole"
    s.replace_reads("present.1.value", "whole")
    s.graph.node.append(helper.make_node("Identity", [new], ["present.1.value"]))


@fault("position offset off by one", "decoder", Cause.PAST, Cause.VALUES)
def _(s: Surgery) -> None:
    s.after("position_ids", lambda name: s.add("Add", name, s.constant(1, np.int64)))


@fault("position offset of the past off by one", "rotary decoder", Cause.PAST)
def _(s: Surgery) -> None:
    def change(name: str) -> str:
        has_past = s.add("Greater", s.size("past_key_values.0.key", 2), s.constant(0, np.int64))
        return s.add("Add", name, s.add("Cast", has_past, to=TensorProto.INT64))

    s.after("position_ids", change)


@fault("right for past length 0 only", "decoder", Cause.PAST)
def _(s: Surgery) -> None:
    s.disturb_where(
        "/model/transformer/h.0/Add_output_0",
        s.add("Greater", s.size("past_key_values.0.key", 2), s.constant(0, np.int64)),
    )


@fault("causal mask missing", "decoder", Cause.VALUES, Cause.MASK, Cause.AXIS)
def _(s: Surgery) -> None:
    for layer in range(LAYERS):
        s.node(f"transformer/h.{layer}/attn/Add").input[1] = s.constant(0.0, np.float32)


@fault(
    "cross-attention's keys and values exchanged",
    "encoder-decoder",
    Cause.PAST,
    Cause.VALUES,
    stem="decoder_with_past_model",
)
def _(s: Surgery) -> None:
    names = [f"past_key_values.0.encoder.{part}" for part in ("key", "value")]
    exchanged = dict(zip(names, reversed(names), strict=True))
    for node in s.graph.node:
        node.input[:] = [exchanged.get(name, name) for name in node.input]


@fault(
    "branches of the merged decoder exchanged",
    "encoder-decoder",
    Cause.PAST,
    Cause.VALUES,
    Cause.FILE,
    Cause.AXIS,
    stem="decoder_model_merged",
)
def _(s: Surgery) -> None:
    branch = next(node for node in s.graph.node if node.op_type == "If")
    branch.input[0] = s.add("Not", branch.input[0])


@fault("the encoder's states ignored", "encoder-decoder", Cause.VALUES, stem="decoder_model")
def _(s: Surgery) -> None:
    s.after("encoder_hidden_states", lambda name: s.add("Mul", name, s.constant(0.0, np.float32)))


# --- names ------------------------------------------------------------------------------------------------------------


@fault("outputs exchanged", "reader", Cause.NAMES)
def _(s: Surgery) -> None:
    names = {"start_logits": "end_logits", "end_logits": "start_logits"}
    for node in s.graph.node:
        node.output[:] = [names.get(name, name) for name in node.output]


@fault("an output missing", "decoder", Cause.NAMES)
def _(s: Surgery) -> None:
    s.graph.output.pop()


@fault("an output renamed", "encoder", Cause.NAMES)
def _(s: Surgery) -> None:
    s.rename_output("last_hidden_state", "hidden")


@fault("an input renamed", "encoder", Cause.NAMES)
def _(s: Surgery) -> None:
    s.value("input_ids").name = "ids"
    s.replace_reads("input_ids", "ids")


@fault("an input too many", "vision", Cause.NAMES)
def _(s: Surgery) -> None:
    s.graph.input.append(helper.make_tensor_value_info("bool_masked_pos", TensorProto.BOOL, ["batch_size", 16]))


@fault("an output's dtype changed to float64", "encoder", Cause.NAMES)
def _(s: Surgery) -> None:
    s.after("last_hidden_state", lambda name: s.add("Cast", name, to=TensorProto.DOUBLE))
    s.value("last_hidden_state").type.tensor_type.elem_type = TensorProto.DOUBLE


@fault("an output's dtype changed to float16", "vision", Cause.NAMES, Cause.VALUES)
def _(s: Surgery) -> None:
    s.after("logits", lambda name: s.add("Cast", name, to=TensorProto.FLOAT16))
    s.value("logits").type.tensor_type.elem_type = TensorProto.FLOAT16


@fault("an input's dtype changed to int32", "encoder", Cause.NAMES)
def _(s: Surgery) -> None:
    s.after("input_ids", lambda name: s.add("Cast", name, to=TensorProto.INT64))
    s.value("input_ids").type.tensor_type.elem_type = TensorProto.INT32


# --- values -----------------------------------------------------------------------------------------------------------


def _zero_row(weight: Array) -> Array:
    weight[3] = 0.0
    return weight


def _one_element(weight: Array) -> Array:
    weight.reshape(-1)[7] *= -1
    return weight


_WEIGHT_CHANGES: dict[str, tuple[str, str, Callable[[Array], Array]]] = {
    "one weight row zeroed": ("encoder", r"encoder.layer.1.attention.self.value.weight.*", _zero_row),
    "a weight perturbed by 1 %": ("encoder", r"encoder.layer.0.attention.self.query.weight.*", lambda w: w * 1.01),
    "a weight perturbed by 0.1 %": ("encoder", r"encoder.layer.0.attention.self.query.weight.*", lambda w: w * 1.001),
    "one element's sign changed": ("encoder", r"encoder.layer.1.output.dense.weight.*", _one_element),
    "one bias dropped": ("encoder", r"encoder.layer.1.intermediate.dense.bias", np.zeros_like),
    "weights rounded to float16": ("encoder", r"encoder.layer.1.output.dense.weight.*", lambda w: w.astype(np.float16)),
    "embeddings moved by one row": ("encoder", r"embeddings.word_embeddings.weight", lambda w: np.roll(w, 1, axis=0)),
    "a weight perturbed by 0.1 %, decoder": ("decoder", r"transformer.h.0.mlp.c_fc.weight", lambda w: w * 1.001),
    "a norm's scale dropped": ("rotary decoder", r"model.layers.1.post_attention_layernorm.weight", np.ones_like),
    "position embeddings dropped": ("vision", r"vit.embeddings.position_embeddings", np.zeros_like),
    "patches transposed": (
        "vision",
        r"vit.embeddings.patch_embeddings.projection.weight",
        lambda w: w.transpose(0, 1, 3, 2),
    ),
    "a head's bias dropped": ("vision", r"classifier.bias", np.zeros_like),
}
for _name, (_export, _pattern, _change) in _WEIGHT_CHANGES.items():
    FAULTS.append(
        Fault(
            _name,
            _export,
            frozenset({Cause.VALUES}),
            operate=lambda s, pattern=_pattern, change=_change: s.change_weight(pattern, change),
        )
    )


@fault("last layer skipped", "encoder", Cause.VALUES)
def _(s: Surgery) -> None:
    last = s.node("encoder/layer.1/output/LayerNorm/LayerNormalization")
    before = s.node("encoder/layer.0/output/LayerNorm/LayerNormalization").output[0]
    last.output[0] = "unused"
    s.graph.node.append(helper.make_node("Identity", [before], ["last_hidden_state"]))


@fault("last layer skipped", "decoder", Cause.VALUES)
def _(s: Surgery) -> None:
    s.node("transformer/ln_f/LayerNormalization").input[0] = s.node("transformer/h.0/Add_1").output[0]


@fault("LayerNorm's epsilon changed", "encoder", Cause.VALUES)
def _(s: Surgery) -> None:
    for node in s.graph.node:
        if node.op_type == "LayerNormalization":
            attribute(node, "epsilon").f = 1e-5


@fault("GELU replaced by its tanh form", "encoder", Cause.VALUES)
def _(s: Surgery) -> None:
    for layer in range(LAYERS):
        scope = f"encoder/layer.{layer}/intermediate/intermediate_act_fn"
        source = s.node(f"{scope}/Div").input[0]
        made = s.node(f"{scope}/Mul_1").output[0]
        cube = s.add("Mul", s.add("Pow", source, s.constant(3.0, np.float32)), s.constant(0.044715, np.float32))
        inner = s.add("Mul", s.add("Add", source, cube), s.constant(np.sqrt(2 / np.pi), np.float32))
        bent = s.add("Add", s.add("Tanh", inner), s.constant(1.0, np.float32))
        s.replace_reads(made, s.add("Mul", s.add("Mul", source, bent), s.constant(0.5, np.float32)))


@fault("softmax on the wrong axis", "encoder", Cause.VALUES, Cause.MASK)
def _(s: Surgery) -> None:
    attribute(s.node("encoder/layer.0/attention/self/Softmax"), "axis").i = 1


@fault("attention's scale dropped", "rotary decoder", Cause.VALUES)
def _(s: Surgery) -> None:
    softmax = s.node("model/layers.0/self_attn/Softmax")
    s.after(softmax.input[0], lambda name: s.add("Mul", name, s.constant(1.25, np.float32)))


@fault("a residual connection dropped", "decoder", Cause.VALUES)
def _(s: Surgery) -> None:
    add = s.node("transformer/h.1/Add")
    add.input[1] = s.add("Mul", add.input[1], s.constant(0.0, np.float32))


@fault("logits scaled", "decoder", Cause.VALUES)
def _(s: Surgery) -> None:
    s.after("logits", lambda name: s.add("Mul", name, s.constant(1.02, np.float32)))


@fault("wrong for the highest token ids", "encoder", Cause.VALUES)
def _(s: Surgery) -> None:
    vocabulary = s.weight("embeddings.word_embeddings.weight").dims[0]
    high = s.add("Greater", "input_ids", s.constant(vocabulary - 8, np.int64))
    s.disturb_where(_HIDDEN, s.add("Unsqueeze", high, s.constant([2], np.int64)))


@fault("the answer is a constant", "vision", Cause.VALUES)
def _(s: Surgery) -> None:
    s.after(
        "logits",
        lambda name: s.add("Add", s.add("Mul", name, s.constant(0.0, np.float32)), s.constant(0.1, np.float32)),
    )


@fault("colours in reverse order", "vision", Cause.VALUES)
def _(s: Surgery) -> None:
    s.after("pixel_values", lambda name: s.add("Gather", name, s.constant([2, 1, 0], np.int64), axis=1))


@fault("NaN in one place", "encoder", Cause.VALUES)
def _(s: Surgery) -> None:
    s.change_weight("encoder.layer.1.output.LayerNorm.bias", lambda b: np.where(np.arange(b.size) == 5, np.nan, b))


@fault("dropout left on", "encoder", Cause.VALUES)
def _(s: Surgery) -> None:
    rate, training = s.constant(0.1, np.float32), s.constant(True, bool)
    s.after(_HIDDEN, lambda name: s.add("Dropout", name, rate, training))


@fault("a random operator left in", "decoder", Cause.VALUES)
def _(s: Surgery) -> None:
    def change(name: str) -> str:
        noise = s.add("RandomNormalLike", name, scale=0.01)
        return s.add("Add", name, noise)

    s.after("/model/transformer/h.0/Add_output_0", change)


# --- quantised files --------------------------------------------------------------------------------------------------


@fault("quantisation scale wrong", INT8, Cause.VALUES, stem=INT8_STEM)
def _(s: Surgery) -> None:
    s.change_weight(r"encoder.layer.1.intermediate.dense.weight.*_scale", lambda scale: scale * 1.5)


@fault("zero point wrong", INT8, Cause.VALUES, stem=INT8_STEM)
def _(s: Surgery) -> None:
    s.change_weight(r"encoder.layer.0.attention.self.value.weight.*_zero_point", lambda point: point + 40)


@fault("weights of a layer saturated", INT8, Cause.VALUES, stem=INT8_STEM)
def _(s: Surgery) -> None:
    s.change_weight(r"encoder.layer.0.output.dense.weight.*_quantized", lambda w: np.clip(w, -32, 31))


@fault("mask ignored", INT8, Cause.MASK, stem=INT8_STEM)
def _(s: Surgery) -> None:
    _ignore(s, "attention_mask")


# --- files ------------------------------------------------------------------------------------------------------------


def _with_external_data(path: Path) -> Path:
    model = onnx.load(path)
    path.unlink()
    data = path.with_name(f"{path.name}_data")
    onnx.save(model, path, save_as_external_data=True, location=data.name, size_threshold=0)
    return data


@spoiled("external data truncated", "encoder", Cause.FILE)
def _(path: Path) -> None:
    data = _with_external_data(path)
    content = data.read_bytes()
    data.write_bytes(content[: len(content) // 2])


@spoiled("external data missing", "decoder", Cause.FILE)
def _(path: Path) -> None:
    _with_external_data(path).unlink()


@spoiled("external data of another model", "encoder", Cause.FILE)
def _(path: Path) -> None:
    data = _with_external_data(path)
    floats = np.frombuffer(data.read_bytes(), np.float32)
    data.write_bytes(np.random.default_rng(0).permutation(floats).tobytes())


@spoiled("file cut short", "encoder", Cause.FILE)
def _(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


@spoiled("file empty", "encoder", Cause.FILE)
def _(path: Path) -> None:
    path.write_bytes(b"")


@spoiled("another kind of file", "vision", Cause.FILE)
def _(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(1000))


@spoiled("a Git LFS pointer", "vision", Cause.FILE)
def _(path: Path) -> None:
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 123456\n")


@fault("opset that the runtime does not know", "encoder", Cause.FILE)
def _(s: Surgery) -> None:
    s.model.opset_import[0].version = 99


@fault("operator that the runtime does not know", "vision", Cause.FILE)
def _(s: Surgery) -> None:
    s.model.opset_import.append(helper.make_opsetid("com.example", 1))
    s.after("logits", lambda name: s.add("Mystery", name, domain="com.example"))


def _deep_functions(path: Path) -> None:
    """20,000 functions that each call the next: ONNX Runtime (1.31) unfolds them until its stack is full."""
    model = onnx.load(path)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("deep", 1)]
    for number in range(_DEPTH):
        last = number == _DEPTH - 1
        node = helper.make_node("Neg" if last else f"F{number + 1}", ["x"], ["y"], domain="" if last else "deep")
        model.functions.append(helper.make_function("deep", f"F{number}", ["x"], ["y"], [node], opsets))
    model.opset_import.append(opsets[1])
    surgery = Surgery(model)
    surgery.after("logits", lambda name: surgery.add("F0", name, domain="deep"))
    onnx.save(surgery.in_order(), path)


_DEPTH = 20_000
FAULTS.append(
    Fault(
        "a file that kills the runtime's process",
        "vision",
        frozenset({Cause.FILE}),
        spoil=_deep_functions,
        isolated=True,
    )
)


def _endless(s: Surgery) -> None:
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go_on"], ["goes_on"]), helper.make_node("Abs", ["ids"], ["same_ids"])],
        "body",
        [
            value("number", TensorProto.INT64, []),
            value("go_on", TensorProto.BOOL, []),
            value("ids", TensorProto.INT64, ["rows", "columns"]),
        ],
        [value("goes_on", TensorProto.BOOL, []), value("same_ids", TensorProto.INT64, ["rows", "columns"])],
    )
    rounds, yes = s.constant(2**62, np.int64), s.constant(True, bool)
    s.after("input_ids", lambda name: s.add("Loop", rounds, yes, name, body=body))


FAULTS.append(Fault("a file that never ends", "encoder", frozenset({Cause.FILE}), operate=_endless, isolated=True))
