"""The rules as data: what each hook may find, why it matters, and an example of each kind.

The documentation page and ``--explain`` are made from this table.
"""

from __future__ import annotations

from typing import NamedTuple

CONFIG_HOOK = "check-onnx-export-config"
MODEL_HOOK = "check-model-config"
SAFETENSORS_HOOK = "check-safetensors"
ONNX_HOOK = "check-onnx-files"
CURRENT_HOOK = "check-export-is-current"
VALIDATE_HOOK = "validate-onnx-export"


class Rule(NamedTuple):
    """``hooks`` are those that apply it; ``fixable`` says that ``--fix`` repairs it."""

    name: str
    hooks: tuple[str, ...]
    reason: str
    bad: str
    good: str
    fixable: bool = False

    def explanation(self) -> str:
        """The rule in full, for a terminal."""
        parts = [f"{self.name} ({', '.join(self.hooks)})", self.reason, "Bad:", _indented(self.bad)]
        parts += ["Good:", _indented(self.good)]
        if self.fixable:
            parts.append("--fix repairs it.")
        parts.append(f"To ignore it, in onnx-export.yaml:\n{_indented(ignore_example(self.name))}")
        return "\n\n".join(parts)


def ignore_example(name: str) -> str:
    """The lines that ignore a rule below one folder."""
    return f'hooks:\n  ignore:\n    {name}: ["models/old/*"]'


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


_ALL = (
    Rule(
        "settings",
        (CONFIG_HOOK,),
        "onnx-export.yaml does not follow its format: no target of it would be exported.",
        "targets:\n- name: sentiment\n  modle: ./models/sentiment",
        "targets:\n- name: sentiment\n  model: ./models/sentiment",
    ),
    Rule(
        "unknown-rule",
        (CONFIG_HOOK,),
        "A misspelt rule name ignores nothing, and a path pattern that is no text matches nothing.",
        'hooks:\n  ignore:\n    pickel-weights: ["*"]',
        'hooks:\n  ignore:\n    pickle-weights: ["*"]',
    ),
    Rule(
        "task-not-exportable",
        (CONFIG_HOOK, MODEL_HOOK),
        "The model type has no configuration for the target's task, so the export stops before it starts.",
        'task: object-detection        # of a model with "model_type": "bert"',
        "task: text-classification",
    ),
    Rule(
        "target-model",
        (CONFIG_HOOK,),
        "A target names a folder that holds no model: config.json, or the weights that `weights: load` reads, are "
        "missing. Weights that a workflow fetches later are a reason to ignore the rule.",
        "model: ./models/sentiment     # a folder without config.json",
        "model: ./models/sentiment     # holds config.json and model.safetensors",
    ),
    Rule(
        "unknown-input",
        (CONFIG_HOOK,),
        "The model takes no input of this name, but one whose name is nearly the same.",
        "inputs: {input_idz: {0: batch_size, 1: sequence_length}}",
        "inputs: {input_ids: {0: batch_size, 1: sequence_length}}",
    ),
    Rule(
        "unknown-output",
        (CONFIG_HOOK,),
        "A tolerance for an output that the task does not have is never used.",
        "tolerance: {fp32: {logit: 1.0e-4}}",
        "tolerance: {fp32: {logits: 1.0e-4}}",
    ),
    Rule(
        "loose-tolerance",
        (CONFIG_HOOK,),
        "In 32-bit floats an export differs by rounding alone. A tolerance above 0.1 lets wrong files pass.",
        "tolerance: {fp32: {logits: 10}}",
        "tolerance: {fp32: {logits: {atol: 1.0e-3}}}",
    ),
    Rule(
        "shape-out-of-range",
        (CONFIG_HOOK,),
        "The model cannot take the size: a case of it would fail in PyTorch already.",
        "shapes: {sequence_length: 600}   # of a model with 512 positions",
        "shapes: {sequence_length: 512}",
    ),
    Rule(
        "json-syntax",
        (MODEL_HOOK, SAFETENSORS_HOOK),
        "transformers cannot read the file, so the model does not load.",
        '{"model_type": "bert", "hidden_size": 768,}',
        '{"model_type": "bert", "hidden_size": 768}',
        fixable=True,
    ),
    Rule(
        "json-not-finite",
        (MODEL_HOOK,),
        "NaN and Infinity are read by Python, but by no other reader of JSON: transformers.js refuses the file that "
        "is published beside the ONNX files.",
        '{"time_step_limit": [0.0, Infinity]}',
        '{"time_step_limit": [0.0, 1e9]}',
    ),
    Rule(
        "duplicate-key",
        (MODEL_HOOK, SAFETENSORS_HOOK),
        "Python keeps the last of two equal keys without a word; the first, which a reader sees, has no effect.",
        '{"vocab_size": 30522, "vocab_size": 28996}',
        '{"vocab_size": 28996}',
    ),
    Rule(
        "link-outside",
        (MODEL_HOOK, SAFETENSORS_HOOK, ONNX_HOOK),
        "A link out of the repository leads to another file on every machine, or to one that nobody meant to publish.",
        "config.json -> /home/me/config.json",
        "config.json as a file of the repository",
    ),
    Rule(
        "missing-model-type",
        (MODEL_HOOK,),
        "Without model_type nothing says which class loads the model, nor how it is exported.",
        '{"hidden_size": 768}',
        '{"model_type": "bert", "hidden_size": 768}',
    ),
    Rule(
        "unknown-model-type",
        (MODEL_HOOK,),
        "transformers has no such model type: the model does not load.",
        '{"model_type": "distillbert"}',
        '{"model_type": "distilbert"}',
    ),
    Rule(
        "remote-code",
        (MODEL_HOOK,),
        "The model type is defined by Python code inside the repository. That code runs only when the operator allows "
        "it (--trust-remote-code); until then the export refuses the model.",
        '{"model_type": "my-bert", "auto_map": {"AutoModel": "modeling.MyBert"}}',
        '{"model_type": "bert"}',
    ),
    Rule(
        "sentence-modules",
        (MODEL_HOOK,),
        "modules.json of sentence-transformers names a module that is not exported, one outside the model's folder, "
        "settings that mean nothing, or no pooling.",
        '[{"path": "", "type": "sentence_transformers.models.Transformer"}]',
        '[{"path": "", "type": "sentence_transformers.models.Transformer"},\n'
        ' {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]',
    ),
    Rule(
        "misspelt-attribute",
        (MODEL_HOOK,),
        "transformers keeps an attribute that it does not know and uses the default of the one that was meant.",
        '{"model_type": "bert", "hiden_size": 384}',
        '{"model_type": "bert", "hidden_size": 384}',
    ),
    Rule(
        "attribute-type",
        (MODEL_HOOK,),
        "A size must be a whole number of at least 1, where it is given.",
        '{"hidden_size": "768"}',
        '{"hidden_size": 768}',
    ),
    Rule(
        "attention-heads",
        (MODEL_HOOK,),
        "Attention splits the hidden size into heads of equal size, and shares each key-value head among equally many "
        "heads.",
        '{"hidden_size": 768, "num_attention_heads": 10}',
        '{"hidden_size": 768, "num_attention_heads": 12}',
    ),
    Rule(
        "vocabulary",
        (MODEL_HOOK,),
        "The tokenizer gives ids that the embedding has no row for, or config.json and the weights disagree about its "
        "rows: the model fails, or does not load.",
        '{"vocab_size": 28996}         # the tokenizer knows 30522 tokens',
        '{"vocab_size": 30522}',
    ),
    Rule(
        "token-id",
        (MODEL_HOOK,),
        "A special token's id must be inside the vocabulary, or the embedding fails when it is met.",
        '{"vocab_size": 1000, "eos_token_id": 50256}',
        '{"vocab_size": 1000, "eos_token_id": 999}',
    ),
    Rule(
        "missing-token-id",
        (MODEL_HOOK,),
        "The task reads this id: a decoder that classifies takes one row only without pad_token_id, and an "
        "encoder-decoder cannot start to generate without decoder_start_token_id.",
        '{"model_type": "gpt2", "architectures": ["GPT2ForSequenceClassification"]}',
        '{"model_type": "gpt2", "architectures": ["GPT2ForSequenceClassification"], "pad_token_id": 50256}',
    ),
    Rule(
        "special-token",
        (MODEL_HOOK,),
        "A special token that the tokenizer's vocabulary lacks is added behind it when the tokenizer loads: its id has "
        "no row in the embedding.",
        'tokenizer_config.json: {"pad_token": "<pad>"}   # tokenizer.json has [PAD]',
        'tokenizer_config.json: {"pad_token": "[PAD]"}',
    ),
    Rule(
        "labels",
        (MODEL_HOOK,),
        "num_labels, id2label, label2id and the classifier's rows must count the same classes, from 0: they are the "
        "last axis of the logits and its names.",
        '{"num_labels": 3, "id2label": {"0": "no", "1": "yes"}}',
        '{"id2label": {"0": "no", "1": "yes"}, "label2id": {"no": 0, "yes": 1}}',
    ),
    Rule(
        "positions",
        (MODEL_HOOK,),
        "The model has an embedding per position; longer texts fail.",
        'config.json: {"max_position_embeddings": 512}; tokenizer_config.json: {"model_max_length": 1024}',
        'config.json: {"max_position_embeddings": 512}; tokenizer_config.json: {"model_max_length": 512}',
    ),
    Rule(
        "processor-size",
        (MODEL_HOOK,),
        "The processor makes images or spectrograms of another size than the model takes.",
        'config.json: {"image_size": 224}; preprocessor_config.json: {"size": {"height": 384, "width": 384}}',
        'config.json: {"image_size": 224}; preprocessor_config.json: {"size": {"height": 224, "width": 224}}',
    ),
    Rule(
        "graph-change",
        (MODEL_HOOK,),
        "With this configuration the export would have other inputs, outputs or axes than the committed files, which "
        "their users rely on.",
        "logits of the committed file: [batch_size, 2]; id2label has 3 classes now",
        "the files were exported again, and the change is in the same commit",
    ),
    Rule(
        "lfs-pointer",
        (SAFETENSORS_HOOK, ONNX_HOOK),
        "The file is the text of a Git LFS pointer, but Git LFS does not manage it, or the text is damaged: no "
        "checkout will ever hold the weights.",
        "model.safetensors: a pointer, .gitattributes says nothing of it",
        '.gitattributes: "*.safetensors filter=lfs diff=lfs merge=lfs -text"',
    ),
    Rule(
        "safetensors-header",
        (SAFETENSORS_HOOK,),
        "The file is damaged or cut short: its header and its length do not agree, so it does not load.",
        "a download that stopped",
        "the whole file",
    ),
    Rule(
        "weights-shape",
        (SAFETENSORS_HOOK,),
        "A weight has another shape than config.json says, or layers are missing: transformers refuses it, or starts "
        "with random values.",
        '{"hidden_size": 768}          # word_embeddings.weight is [30522, 384]',
        '{"hidden_size": 384}',
    ),
    Rule(
        "weights-dtype",
        (SAFETENSORS_HOOK,),
        "config.json says another number format than every weight has: the model loads in a precision nobody trained.",
        '{"dtype": "bfloat16"}         # every weight is F32',
        '{"dtype": "float32"}',
    ),
    Rule(
        "weights-without-scale",
        (SAFETENSORS_HOOK,),
        "The weights are quantised and config.json does not say how: transformers drops their scales in silence and "
        "takes the numbers as they are.",
        "q_proj.weight is F8_E4M3, beside it q_proj.weight_scale; config.json has no quantization_config",
        '{"quantization_config": {"quant_method": "fp8"}}',
    ),
    Rule(
        "unmerged-adapter",
        (SAFETENSORS_HOOK,),
        "An adapter (LoRA) lies in or beside the weights of a whole model. transformers alone leaves it out.",
        "adapter_config.json beside model.safetensors",
        "model.safetensors, saved after `merge_and_unload`",
    ),
    Rule(
        "shard-index",
        (SAFETENSORS_HOOK,),
        "The index must name existing shards, and each tensor in the shard that holds it.",
        '"weight_map": {"wte.weight": "model-00003-of-00002.safetensors"}',
        '"weight_map": {"wte.weight": "model-00001-of-00002.safetensors"}',
    ),
    Rule(
        "pickle-weights",
        (SAFETENSORS_HOOK,),
        "A pickle is a program that runs when it is loaded. safetensors holds the same weights as plain data.",
        "pytorch_model.bin",
        "model.safetensors",
    ),
    Rule(
        "onnx-unreadable",
        (ONNX_HOOK,),
        "The file is no ONNX model: cut short, another format, or empty.",
        "a download that stopped",
        "the whole file",
    ),
    Rule(
        "onnx-opset",
        (ONNX_HOOK,),
        "The file states no operator set, one that runtimes do not have, or another than its manifest.",
        "opset 99",
        "opset 18",
    ),
    Rule(
        "onnx-domain",
        (ONNX_HOOK,),
        "An operator of another domain needs a custom library that users of the file do not have.",
        "node of domain com.example",
        "nodes of ai.onnx and com.microsoft",
    ),
    Rule(
        "onnx-graph",
        (ONNX_HOOK,),
        "A node reads a value that nothing gives, two give the same, or an output is missing: no runtime loads it.",
        "Add(x, y) where nothing gives y",
        "every input of a node is an input of the graph, a weight, or the output of an earlier node",
    ),
    Rule(
        "onnx-operator",
        (ONNX_HOOK,),
        "onnx's own checker refuses the file: an operator that the operator set lacks, or a wrong attribute. Needs "
        "--full-check and the package onnx.",
        "node of type Gelu in opset 18",
        "node of type Gelu in opset 20",
    ),
    Rule(
        "onnx-signature",
        (ONNX_HOOK,),
        "Inputs, outputs, types and axes are what users of the file rely on; the manifest says what was proven.",
        "manifest: logits [batch_size, 2]; file: logits [2, 2]",
        "both: logits [batch_size, 2]",
    ),
    Rule(
        "onnx-external-data",
        (ONNX_HOOK,),
        "Weights beside the file are missing, too short, of another hash, or outside the file's folder.",
        "model.onnx names model.onnx_data, which was not committed",
        "model.onnx and model.onnx_data in one folder",
    ),
    Rule(
        "onnx-hash",
        (ONNX_HOOK,),
        "The file is not the one that was exported and proven: it was changed afterwards, or the manifest is older.",
        "model.onnx edited after `onnx-export run`",
        "model.onnx and manifest.json of the same run",
    ),
    Rule(
        "onnx-size",
        (ONNX_HOOK,),
        "GitHub refuses files above 100 MiB outside Git LFS, and protobuf files above 2 GiB cannot be read.",
        "model.onnx of 400 MiB as a plain file",
        '.gitattributes: "*.onnx filter=lfs diff=lfs merge=lfs -text"',
    ),
    Rule(
        "manifest",
        (CURRENT_HOOK, ONNX_HOOK),
        "manifest.json says what was made from what; one that cannot be read proves nothing.",
        "manifest.json edited by hand",
        "manifest.json as `onnx-export run` wrote it",
    ),
    Rule(
        "stale-export",
        (CURRENT_HOOK,),
        "The committed files were made from another configuration, other weights or other settings than the repository "
        "holds now.",
        "config.json changed, artifacts/sentiment not",
        "`onnx-export run --target sentiment`, and both in one commit",
    ),
    Rule(
        "missing-artifact",
        (CURRENT_HOOK,),
        "The manifest names a file that is not there.",
        "artifacts/sentiment/onnx/model.onnx deleted",
        "every file that manifest.json names",
    ),
    Rule(
        "export-failed",
        (VALIDATE_HOOK,),
        "The model could not be exported, or its ONNX file does not compute what PyTorch computes.",
        "onnx-export run --target sentiment: fail",
        "onnx-export run --target sentiment: pass",
    ),
)

RULES: dict[str, Rule] = {rule.name: rule for rule in _ALL}


def rules_of(hook: str) -> list[Rule]:
    """The rules that a hook applies, in the order of the table."""
    return [rule for rule in RULES.values() if hook in rule.hooks]
