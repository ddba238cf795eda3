"""Programs written for optimum-onnx and transformers.onnx, as their guides show them: only import paths changed.

Hub ids became folders with tiny checkpoints. Where those libraries would print the operator set 11, this one says 18.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CheckpointFactory


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def own_register(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten afterwards."""
    from onnx_export_action import TasksManager

    monkeypatch.setattr(TasksManager, "_SUPPORTED_MODEL_TYPE", dict(TasksManager._SUPPORTED_MODEL_TYPE))


# --- optimum: adding support for an unsupported architecture ----------------------------------------------------------


def test_bert_configuration(checkpoint: CheckpointFactory) -> None:
    from transformers import AutoConfig

    from onnx_export_action.onnx_config import BertOnnxConfig

    config = AutoConfig.from_pretrained(checkpoint("bert"))
    onnx_config = BertOnnxConfig(config)
    assert onnx_config.DEFAULT_ONNX_OPSET == 18
    assert onnx_config.outputs == OrderedDict([("last_hidden_state", {0: "batch_size", 1: "sequence_length"})])
    assert isinstance(onnx_config.outputs, OrderedDict)

    onnx_config_for_seq_clf = BertOnnxConfig(config, task="text-classification")
    assert onnx_config_for_seq_clf.outputs == OrderedDict([("logits", {0: "batch_size"})])


def test_own_bert_configuration_of_a_middle_class(checkpoint: CheckpointFactory, own_register: None) -> None:
    from transformers import AutoModelForSequenceClassification

    from onnx_export_action import TasksManager, export, validate_model_outputs
    from onnx_export_action.onnx_config import (
        DummyTextInputGenerator,
        NormalizedTextConfig,
        OnnxConfig,
        supported_tasks_mapping,
    )

    class TextEncoderOnnxConfig(OnnxConfig):
        DUMMY_INPUT_GENERATOR_CLASSES = (DummyTextInputGenerator,)

    class BertOnnxConfig(TextEncoderOnnxConfig):
        NORMALIZED_CONFIG_CLASS = NormalizedTextConfig
        ATOL_FOR_VALIDATION = 1e-4

        @property
        def inputs(self) -> dict[str, dict[int, str]]:
            if self.task == "multiple-choice":
                dynamic_axis = {0: "batch_size", 1: "num_choices", 2: "sequence_length"}
            else:
                dynamic_axis = {0: "batch_size", 1: "sequence_length"}
            return {
                "input_ids": dynamic_axis,
                "attention_mask": dynamic_axis,
                "token_type_ids": dynamic_axis,
            }

    TasksManager._SUPPORTED_MODEL_TYPE["bert"] = supported_tasks_mapping(
        "default",
        "fill-mask",
        "text-generation",
        "text-classification",
        "multiple-choice",
        "token-classification",
        "question-answering",
        onnx=BertOnnxConfig,
    )
    base_model = AutoModelForSequenceClassification.from_pretrained(checkpoint("bert"))
    onnx_config = TasksManager.get_exporter_config_constructor("onnx", base_model)(base_model.config)
    assert type(onnx_config) is BertOnnxConfig
    onnx_inputs, onnx_outputs = export(base_model, onnx_config, Path("model.onnx"), onnx_config.DEFAULT_ONNX_OPSET)
    assert onnx_inputs == ["input_ids", "attention_mask", "token_type_ids"]
    validate_model_outputs(onnx_config, base_model, Path("model.onnx"), onnx_outputs, onnx_config.ATOL_FOR_VALIDATION)


def test_registering_by_the_name_of_the_class(own_register: None) -> None:
    from onnx_export_action import TasksManager
    from onnx_export_action.onnx_config import BertOnnxConfig, supported_tasks_mapping

    TasksManager._SUPPORTED_MODEL_TYPE["bert-of-mine"] = supported_tasks_mapping(
        "default", "fill-mask", "question-answering", onnx="BertOnnxConfig"
    )
    constructor = TasksManager.get_exporter_config_constructor("onnx", model_type="bert-of-mine", task="fill-mask")
    assert isinstance(constructor(object()), BertOnnxConfig)
    assert constructor(object()).task == "fill-mask"


def test_export_check_and_validate(checkpoint: CheckpointFactory) -> None:
    from transformers import AutoModel

    from onnx_export_action import TasksManager, export

    base_model = AutoModel.from_pretrained(checkpoint("bert", task="feature-extraction"))
    onnx_path = Path("model.onnx")
    onnx_config_constructor = TasksManager.get_exporter_config_constructor("onnx", base_model)
    onnx_config = onnx_config_constructor(base_model.config)
    onnx_inputs, onnx_outputs = export(base_model, onnx_config, onnx_path, onnx_config.DEFAULT_ONNX_OPSET)
    assert onnx_inputs == list(onnx_config.inputs)
    assert onnx_outputs == ["last_hidden_state"]

    import onnx

    onnx_model = onnx.load("model.onnx")
    onnx.checker.check_model(onnx_model, full_check=True)
    assert [opset.version for opset in onnx_model.opset_import if opset.domain == ""] == [18]

    from onnx_export_action import validate_model_outputs

    validate_model_outputs(onnx_config, base_model, onnx_path, onnx_outputs, onnx_config.ATOL_FOR_VALIDATION)


# --- optimum: configuration classes for ONNX exports ------------------------------------------------------------------


def test_dummy_inputs_take_every_documented_size(checkpoint: CheckpointFactory) -> None:
    from transformers import AutoConfig

    from onnx_export_action.onnx_config import BertOnnxConfig, CLIPOnnxConfig

    config = AutoConfig.from_pretrained(checkpoint("bert"))
    dummy = BertOnnxConfig(config).generate_dummy_inputs(framework="pt")
    assert {name: tuple(tensor.shape) for name, tensor in dummy.items()} == dict.fromkeys(dummy, (2, 16))
    dummy = BertOnnxConfig(config, task="multiple-choice").generate_dummy_inputs(
        "pt", batch_size=3, sequence_length=5, num_choices=2
    )
    assert tuple(dummy["input_ids"].shape) == (3, 2, 5)
    clip = AutoConfig.from_pretrained(checkpoint("clip"))
    dummy = CLIPOnnxConfig(clip).generate_dummy_inputs(
        "np", batch_size=1, image_width=32, image_height=32, num_channels=3
    )
    assert dummy["pixel_values"].shape == (1, 3, 32, 32)


def test_with_past_and_the_parts_of_an_encoder_decoder(checkpoint: CheckpointFactory) -> None:
    from transformers import AutoConfig

    from onnx_export_action.onnx_config import BartOnnxConfig, GPT2OnnxConfig

    with_past = GPT2OnnxConfig.with_past(AutoConfig.from_pretrained(checkpoint("gpt2")), task="text-generation")
    assert with_past.use_past
    assert "past_key_values.0.key" in with_past.inputs
    assert "present.0.key" in with_past.outputs

    config = AutoConfig.from_pretrained(checkpoint("bart"))
    onnx_config = BartOnnxConfig(config, task="text2text-generation")
    assert list(onnx_config.get_encoder_onnx_config(config).inputs) == ["input_ids", "attention_mask"]
    decoder = onnx_config.get_decoder_onnx_config(config, task="text2text-generation", use_past=True)
    assert "past_key_values.0.decoder.key" in decoder.inputs


# --- transformers.onnx: exporting models ------------------------------------------------------------------------------


def test_output_names_of_distilbert() -> None:
    from transformers.models.distilbert import DistilBertConfig

    from onnx_export_action.onnx_config import DistilBertOnnxConfig

    config = DistilBertConfig()
    onnx_config = DistilBertOnnxConfig(config)
    assert list(onnx_config.outputs.keys()) == ["last_hidden_state"]


def test_features_of_distilbert() -> None:
    from onnx_export_action.onnx_config.features import FeaturesManager

    distilbert_features = list(FeaturesManager.get_supported_features_for_model_type("distilbert").keys())
    documented = ["default", "masked-lm", "sequence-classification", "token-classification", "question-answering"]
    # The guide also names causal-lm, a head that DistilBERT never had in transformers.
    assert [name for name in distilbert_features if name in documented] == documented
    assert "causal-lm" not in distilbert_features


def _distilbert_onnx_config_of_the_guide() -> Any:
    from onnx_export_action import OnnxConfig

    class DistilBertOnnxConfig(OnnxConfig):
        @property
        def inputs(self) -> Mapping[str, Mapping[int, str]]:
            return OrderedDict(
                [
                    ("input_ids", {0: "batch", 1: "sequence"}),
                    ("attention_mask", {0: "batch", 1: "sequence"}),
                ]
            )

    return DistilBertOnnxConfig


def test_own_distilbert_configuration(checkpoint: CheckpointFactory) -> None:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(checkpoint("distilbert"))
    onnx_config = _distilbert_onnx_config_of_the_guide()(config)
    assert onnx_config.default_onnx_opset == 18
    assert onnx_config.outputs == OrderedDict([("last_hidden_state", {0: "batch", 1: "sequence"})])
    onnx_config_for_seq_clf = _distilbert_onnx_config_of_the_guide()(config, task="sequence-classification")
    assert onnx_config_for_seq_clf.outputs == OrderedDict([("logits", {0: "batch"})])


def test_own_distilbert_configuration_exports_validates_and_runs(checkpoint: CheckpointFactory) -> None:
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    from onnx_export_action import export

    onnx_path = Path("model.onnx")
    model_ckpt = checkpoint("distilbert", task="feature-extraction")
    onnx_config = _distilbert_onnx_config_of_the_guide()(AutoConfig.from_pretrained(model_ckpt))
    base_model = AutoModel.from_pretrained(model_ckpt)
    tokenizer = AutoTokenizer.from_pretrained(model_ckpt)
    onnx_inputs, onnx_outputs = export(tokenizer, base_model, onnx_config, onnx_config.default_onnx_opset, onnx_path)
    assert (onnx_inputs, onnx_outputs) == (["input_ids", "attention_mask"], ["last_hidden_state"])

    import onnx

    onnx_model = onnx.load("model.onnx")
    onnx.checker.check_model(onnx_model)
    assert [dim.dim_param for dim in onnx_model.graph.input[0].type.tensor_type.shape.dim] == ["batch", "sequence"]

    from onnx_export_action import validate_model_outputs

    validate_model_outputs(onnx_config, tokenizer, base_model, onnx_path, onnx_outputs, onnx_config.atol_for_validation)

    from onnxruntime import InferenceSession

    session = InferenceSession("model.onnx")
    inputs = tokenizer("Using DistilBERT with ONNX Runtime!", return_tensors="np")
    outputs = session.run(output_names=["last_hidden_state"], input_feed=dict(inputs))
    assert outputs[0].shape == (1, inputs["input_ids"].shape[1], base_model.config.dim)


def test_a_saved_checkpoint_exports(checkpoint: CheckpointFactory) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from onnx_export_action import TasksManager, export, validate_model_outputs

    tokenizer = AutoTokenizer.from_pretrained(checkpoint("distilbert"))
    pt_model = AutoModelForSequenceClassification.from_pretrained(checkpoint("distilbert"))
    tokenizer.save_pretrained("local-pt-checkpoint")
    pt_model.save_pretrained("local-pt-checkpoint")

    model = AutoModelForSequenceClassification.from_pretrained("local-pt-checkpoint")
    onnx_config = TasksManager.get_exporter_config_constructor("onnx", model)(model.config)
    _, names = export(tokenizer, model, onnx_config, onnx_config.default_onnx_opset, Path("onnx/model.onnx"))
    assert names == ["logits"]
    validate_model_outputs(onnx_config, tokenizer, model, Path("onnx/model.onnx"), names, 1e-4)


def test_an_architecture_of_the_users_own(tmp_path: Path, own_register: None) -> None:
    import torch
    from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
    from transformers.modeling_outputs import BaseModelOutput

    from onnx_export_action import TasksManager, export, validate_model_outputs
    from onnx_export_action.onnx_config import TextEncoderOnnxConfig

    class GatedWordsConfig(PreTrainedConfig):
        model_type = "gated-words"

        def __init__(self, vocab_size: int = 60, hidden_size: int = 16, **others: Any) -> None:
            self.vocab_size, self.hidden_size = vocab_size, hidden_size
            super().__init__(**others)

    class GatedWordsModel(PreTrainedModel):
        config_class = GatedWordsConfig

        def __init__(self, config: GatedWordsConfig) -> None:
            super().__init__(config)
            self.words = torch.nn.Embedding(config.vocab_size, config.hidden_size)
            self.gate = torch.nn.Linear(config.hidden_size, config.hidden_size)
            self.post_init()

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> BaseModelOutput:
            words = self.words(input_ids)
            weights = attention_mask.unsqueeze(-1).to(words.dtype)
            mean = (words * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True)
            return BaseModelOutput(last_hidden_state=words * torch.sigmoid(50 * self.gate(mean)))

    AutoConfig.register("gated-words", GatedWordsConfig, exist_ok=True)
    AutoModel.register(GatedWordsConfig, GatedWordsModel, exist_ok=True)

    @TasksManager.create_register("onnx")("gated-words", "feature-extraction")
    class GatedWordsOnnxConfig(TextEncoderOnnxConfig):
        pass

    GatedWordsModel(GatedWordsConfig()).save_pretrained(tmp_path / "gated")
    base_model = AutoModel.from_pretrained(tmp_path / "gated")
    onnx_config = TasksManager.get_exporter_config_constructor("onnx", base_model)(base_model.config)
    assert type(onnx_config) is GatedWordsOnnxConfig
    onnx_inputs, onnx_outputs = export(base_model, onnx_config, "model.onnx", onnx_config.DEFAULT_ONNX_OPSET)
    assert (onnx_inputs, onnx_outputs) == (["input_ids", "attention_mask"], ["last_hidden_state"])
    validate_model_outputs(onnx_config, base_model, "model.onnx", onnx_outputs, 1e-4)


# --- transformer-deploy: convert a PyTorch model to ONNX --------------------------------------------------------------


@pytest.mark.parametrize("opset", [12, 13])
def test_convert_to_onnx(checkpoint: CheckpointFactory, opset: int) -> None:
    import numpy as np
    import onnx
    import torch
    from onnxruntime import InferenceSession
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from onnx_export_action import convert_to_onnx

    folder = checkpoint("bert")
    model_pytorch = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs_pytorch = OrderedDict(tokenizer("She sells sea shells.", return_tensors="pt"))
    # A tokenizer's order, which is not that of the model's forward.
    assert list(inputs_pytorch) == ["input_ids", "token_type_ids", "attention_mask"]
    convert_to_onnx(model_pytorch=model_pytorch, output_path="model.onnx", inputs_pytorch=inputs_pytorch, opset=opset)

    graph = onnx.load("model.onnx")
    assert [entry.version for entry in graph.opset_import if entry.domain == ""] == [opset]
    session = InferenceSession("model.onnx")
    assert [(value.name, value.shape) for value in session.get_inputs()] == [
        (name, ["batch_size", "sequence"]) for name in inputs_pytorch
    ]
    assert [value.name for value in session.get_outputs()] == ["output"]
    texts = ["We loved every minute of it and will watch it again.", "No!", "Is the answer here?"]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = model_pytorch(**batch).logits.numpy()
    found = session.run(["output"], {name: tensor.numpy() for name, tensor in batch.items()})[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.01  # the texts give different answers
