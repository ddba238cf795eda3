"""What exports for which task, and how a user adds a model type."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from onnx_export_action import onnx_config
from onnx_export_action.onnx_config import (
    BertOnnxConfig,
    GPT2OnnxConfig,
    TasksManager,
    TextEncoderOnnxConfig,
    supported_tasks_mapping,
)
from onnx_export_action.onnx_config.features import FeaturesManager
from onnx_export_action.onnx_config.registry import CLASS_MODULES
from onnx_export_action.onnx_config.registry.model_types import NOT_MODEL_TYPES, REMOVED_TYPES, transformers_model_types
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.results import Stage
from tests.unit.onnx_config.configs import bart_config, gpt2_config, text_config

SOURCE = Path(__file__).parents[3] / "src"


@pytest.fixture
def register() -> Iterator[dict[str, Any]]:
    """The register, as it was before the test once the test is over."""
    types = TasksManager._SUPPORTED_MODEL_TYPE
    before = {name: {exporter: dict(tasks) for exporter, tasks in value.items()} for name, value in types.items()}
    yield types
    types.clear()
    types.update(before)


def test_the_register_starts_without_the_heavy_libraries() -> None:
    program = (
        "import sys, onnx_export_action.onnx_config\n"
        "print([name for name in ('torch', 'transformers', 'onnx', 'onnxruntime', 'numpy') if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("model_type", "tasks"),
    [
        ("bert", {"feature-extraction", "fill-mask", "text-generation", "multiple-choice", "question-answering"}),
        ("gpt2", {"text-generation-with-past", "feature-extraction-with-past", "token-classification"}),
        ("bart", {"text2text-generation-with-past", "text-generation-with-past", "question-answering"}),
        ("whisper", {"automatic-speech-recognition-with-past", "audio-classification"}),
        ("wav2vec2", {"audio-xvector", "audio-frame-classification", "automatic-speech-recognition"}),
        ("vit", {"masked-im", "image-classification"}),
        ("clip", {"zero-shot-image-classification", "image-classification", "feature-extraction"}),
        ("vision-encoder-decoder", {"image-to-text", "image-to-text-with-past"}),
    ],
)
def test_tasks_of_the_first_model_types(model_type: str, tasks: set[str]) -> None:
    assert tasks <= set(TasksManager.get_supported_tasks_for_model_type(model_type))


# As optimum-onnx names them.
SHORT_NAMES = {
    "audio-spectrogram-transformer": "ast",
    "speech_to_text": "speech2text",
    "transformer": "sentencetransformers",
    "unet-2d-condition": "unet",
}


def test_every_model_type_has_a_class_under_its_name() -> None:
    for model_type in TasksManager.get_supported_model_types():
        for constructor in TasksManager.get_supported_tasks_for_model_type(model_type).values():
            name = constructor.func.__name__
            assert getattr(onnx_config, name) is constructor.func
            known_as = SHORT_NAMES.get(model_type, model_type.replace("-", "").replace("_", ""))
            assert name.lower().startswith(known_as)


def test_a_models_class_and_configuration_choose_the_constructor() -> None:
    model = type("BertForSequenceClassification", (), {"config": text_config(model_type="bert")})()
    config = TasksManager.get_exporter_config_constructor("onnx", model)(model.config)
    assert isinstance(config, BertOnnxConfig)
    assert config.task == "text-classification"
    base = type("BertModel", (), {"config": text_config(model_type="bert")})()
    assert list(TasksManager.get_exporter_config_constructor("onnx", base)(base.config).outputs) == [
        "last_hidden_state"
    ]


def test_past_is_used_only_when_the_task_says_so() -> None:
    model = type("GPT2LMHeadModel", (), {"config": gpt2_config(model_type="gpt2")})()
    assert not TasksManager.get_exporter_config_constructor("onnx", model)(model.config).use_past
    constructor = TasksManager.get_exporter_config_constructor(model_type="gpt2", task="causal-lm-with-past")
    config = constructor(gpt2_config())
    assert isinstance(config, GPT2OnnxConfig)
    assert (config.task, config.use_past) == ("text-generation", True)


def test_a_type_without_features_defaults_to_its_first_task() -> None:
    constructor = TasksManager.get_exporter_config_constructor(model_type="vision-encoder-decoder")
    parts = SimpleNamespace(encoder=SimpleNamespace(model_type="vit"), decoder=gpt2_config(model_type="gpt2"))
    assert constructor(parts).task == "image-to-text"


@pytest.mark.parametrize(
    ("model_type", "architecture", "task"),
    [
        ("bert", "BertForSequenceClassification", "text-classification"),
        ("bert", "BertModel", "feature-extraction"),
        ("bert", "BertLMHeadModel", "text-generation"),
        ("bert", "BertForPreTraining", "feature-extraction"),
        ("gpt2", "GPT2LMHeadModel", "text-generation-with-past"),
        ("gpt2", "GPT2Model", "feature-extraction"),
        ("gpt2", "GPT2ForTokenClassification", "token-classification"),
        ("llama", "LlamaForCausalLM", "text-generation-with-past"),
        ("t5", "T5ForConditionalGeneration", "text2text-generation-with-past"),
        ("bart", "BartForCausalLM", "text-generation-with-past"),
        ("bart", "BartModel", "feature-extraction"),
        ("whisper", "WhisperForConditionalGeneration", "automatic-speech-recognition-with-past"),
        ("whisper", "WhisperForAudioClassification", "audio-classification"),
        ("wav2vec2", "Wav2Vec2ForCTC", "automatic-speech-recognition"),
        ("wav2vec2", "Wav2Vec2ForSequenceClassification", "audio-classification"),
        ("wav2vec2", "Wav2Vec2ForXVector", "audio-xvector"),
        ("vit", "ViTForMaskedImageModeling", "masked-im"),
        ("resnet", "ResNetForImageClassification", "image-classification"),
        ("clip", "CLIPModel", "feature-extraction"),
        ("vision-encoder-decoder", "VisionEncoderDecoderModel", "image-to-text-with-past"),
    ],
)
def test_the_task_of_a_checkpoint(model_type: str, architecture: str, task: str) -> None:
    config = {"model_type": model_type, "architectures": [architecture]}
    assert TasksManager.infer_task_from_config(config) == task


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "no model_type"),
        ({"model_type": ["bert"]}, "no model_type"),
        ({"model_type": "bert"}, "no architectures"),
        ({"model_type": "bert", "architectures": "BertModel"}, "no architectures"),
        ({"model_type": "bert", "architectures": [None, 3]}, "no architectures"),
        ({"model_type": "bert", "architectures": ["BertForNextSentencePrediction"]}, "do not tell the task"),
        ({"model_type": "t5", "architectures": ["T5EncoderModel"]}, "do not tell the task"),
        ({"model_type": "bret", "architectures": ["BertModel"]}, "'bret'"),
    ],
)
def test_a_checkpoint_that_does_not_tell_its_task(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ExportError, match=words) as error:
        TasksManager.infer_task_from_config(config)
    assert error.value.stage is Stage.PLAN
    assert error.value.hint


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(ExportError, match="'distilbret'") as error:
        TasksManager.get_supported_tasks_for_model_type("distilbret")
    assert "'distilbert'" in (error.value.hint or "")
    with pytest.raises(ExportError, match="no task 'multiple-choice'") as error:
        TasksManager.get_exporter_config_constructor(model_type="gpt2", task="multiple-choice")
    assert "text-generation-with-past" in (error.value.hint or "")
    with pytest.raises(ExportError, match="unknown task") as error:
        TasksManager.get_exporter_config_constructor(model_type="gpt2", task="text-generatoin")
    assert "'text-generation'" in (error.value.hint or "")
    with pytest.raises(ExportError, match="tflite"):
        TasksManager.get_supported_tasks_for_model_type("bert", exporter="tflite")
    with pytest.raises(ExportError, match="neither"):
        TasksManager.get_exporter_config_constructor("onnx")


def test_a_user_registers_a_class(register: dict[str, Any]) -> None:
    @TasksManager.create_register("onnx")("my-type", "default", "fill-mask")
    class MyOnnxConfig(TextEncoderOnnxConfig):
        pass

    assert "my-type" in TasksManager.get_supported_model_types()
    assert list(TasksManager.get_supported_tasks_for_model_type("my-type")) == ["feature-extraction", "fill-mask"]
    made = TasksManager.get_exporter_config_constructor(model_type="my-type", task="masked-lm")(text_config())
    assert isinstance(made, MyOnnxConfig)
    assert made.task == "fill-mask"


def test_a_class_is_replaced_only_on_purpose(register: dict[str, Any]) -> None:
    class Replacement(BertOnnxConfig):
        pass

    with pytest.raises(ExportError, match="registered") as error:
        TasksManager.create_register("onnx")("bert", "fill-mask")(Replacement)
    assert "overwrite_existing" in (error.value.hint or "")
    TasksManager.create_register("onnx", overwrite_existing=True)("bert", "fill-mask")(Replacement)
    tasks = TasksManager.get_supported_tasks_for_model_type("bert")
    assert isinstance(tasks["fill-mask"](text_config()), Replacement)
    assert not isinstance(tasks["text-classification"](text_config()), Replacement)


def test_the_mapping_of_the_documentation(register: dict[str, Any]) -> None:
    register["bert-like"] = supported_tasks_mapping(
        "default", "fill-mask", "text-generation", "token-classification", onnx="BertOnnxConfig"
    )
    tasks = TasksManager.get_supported_tasks_for_model_type("bert-like", "onnx")
    assert list(tasks) == ["feature-extraction", "fill-mask", "text-generation", "token-classification"]
    assert isinstance(tasks["fill-mask"](text_config()), BertOnnxConfig)
    register["wrong"] = supported_tasks_mapping("default", onnx="BretOnnxConfig")
    with pytest.raises(ExportError, match="BretOnnxConfig") as error:
        TasksManager.get_supported_tasks_for_model_type("wrong")["feature-extraction"](text_config())
    assert "'BertOnnxConfig'" in (error.value.hint or "")
    with pytest.raises(ExportError, match="unknown task"):
        supported_tasks_mapping("fil-mask", onnx="BertOnnxConfig")


def test_an_encoder_decoder_may_be_registered_by_name(register: dict[str, Any]) -> None:
    register["speech"] = supported_tasks_mapping("speech2seq-lm-with-past", "speech2seq-lm", onnx="WhisperOnnxConfig")
    assert TasksManager.get_auto_class_name("automatic-speech-recognition", "speech") == "AutoModelForSpeechSeq2Seq"
    constructor = TasksManager.get_exporter_config_constructor(model_type="speech", task="speech2seq-lm-with-past")
    assert len(constructor(bart_config()).components()) == 3


def test_legacy_feature_names() -> None:
    features = list(FeaturesManager.get_supported_features_for_model_type("distilbert"))
    assert features == [
        "default",
        "masked-lm",
        "sequence-classification",
        "multiple-choice",
        "token-classification",
        "question-answering",
    ]
    assert "causal-lm-with-past" in FeaturesManager.get_supported_features_for_model_type("gpt2")
    assert "seq2seq-lm-with-past" in FeaturesManager.get_supported_features_for_model_type("t5")
    assert "vision2seq-lm" in FeaturesManager.get_supported_features_for_model_type("vision-encoder-decoder")


@pytest.mark.parametrize(
    ("task", "model_type", "name"),
    [
        ("sequence-classification", "bert", "AutoModelForSequenceClassification"),
        ("causal-lm-with-past", "gpt2", "AutoModelForCausalLM"),
        ("seq2seq-lm", None, "AutoModelForSeq2SeqLM"),
        ("default", None, "AutoModel"),
        ("automatic-speech-recognition", "whisper", "AutoModelForSpeechSeq2Seq"),
        ("automatic-speech-recognition", "wav2vec2", "AutoModelForCTC"),
    ],
)
def test_auto_class_of_a_task(task: str, model_type: str | None, name: str) -> None:
    assert TasksManager.get_auto_class_name(task, model_type) == name


def test_every_module_of_classes_is_found_by_the_register() -> None:
    folder = Path(onnx_config.__file__).parent / "architectures"
    registering = {path.stem for path in folder.glob("*.py") if "\n@register_onnx(" in path.read_text()}
    assert registering == {module.rpartition(".")[2] for module in CLASS_MODULES}


def test_the_type_checker_sees_the_modules_that_are_loaded_later() -> None:
    source = Path(onnx_config.__file__).read_text()
    for module in onnx_config._MODULES:
        assert f"from {module} import *" in source


def test_names_are_offered_and_those_of_others_are_not() -> None:
    assert {"BertOnnxConfig", "TasksManager", "DEFAULT_DUMMY_SHAPES", "PatchingSpec"} <= set(dir(onnx_config))
    assert not {"plan_error", "dataclass", "parse_task"} & set(dir(onnx_config))
    with pytest.raises(ImportError, match="NoSuchOnnxConfig"):
        from onnx_export_action.onnx_config import NoSuchOnnxConfig  # noqa: F401 - there is none


@pytest.mark.parametrize("first", ["architectures.multimodal", "registry", "architectures.seq2seq"])
def test_the_register_is_whole_whatever_is_imported_first(first: str) -> None:
    program = (
        f"import onnx_export_action.onnx_config.{first}\n"
        "from onnx_export_action.onnx_config import register_onnx, TextEncoderOnnxConfig, TasksManager\n"
        "@register_onnx('mine', 'fill-mask')\n"
        "class MineOnnxConfig(TextEncoderOnnxConfig): pass\n"
        "print({'bert', 'whisper', 'clip', 'mine'} <= set(TasksManager.get_supported_model_types()))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "True"


def test_asking_for_the_register_does_not_wait_for_the_classes() -> None:
    program = (
        "import sys\nfrom onnx_export_action.onnx_config.registry import TasksManager\n"
        "print([name for name in sys.modules if '.architectures.' in name])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("model_type", "words"),
    [
        ("tapex", "is a BART"),
        ("mctct", "removed in 5.0.0"),
        ("transfo-xl", "removed in 5.0.0"),
        ("internlm2", "no model type of transformers in any version"),
        ("siglip-text", "siglip_text_model"),
        ("siglip-text-with-projection", "siglip_text_model"),
    ],
)
def test_a_type_that_transformers_lacks_says_what_became_of_it(model_type: str, words: str) -> None:
    with pytest.raises(ExportError, match=words):
        TasksManager.get_supported_tasks_for_model_type(model_type)
    with pytest.raises(ExportError, match=words):
        TasksManager.infer_task_from_config({"model_type": model_type, "architectures": ["BartModel"]})


def test_no_type_that_is_said_to_be_gone_is_there() -> None:
    transformers = pytest.importorskip("transformers")
    gone = {*REMOVED_TYPES, *NOT_MODEL_TYPES}
    assert not gone & set(transformers.CONFIG_MAPPING)
    assert not gone & set(TasksManager.get_supported_model_types())


def test_the_types_of_transformers_are_known_without_importing_it() -> None:
    transformers = pytest.importorskip("transformers")
    assert set(transformers.CONFIG_MAPPING) <= transformers_model_types()


@pytest.mark.parametrize(
    ("config", "task"),
    [
        ({"model_type": "biogpt", "architectures": ["BioGptForCausalLM"]}, "text-generation"),
        ({"model_type": "fnet", "architectures": ["FNetForMaskedLM"]}, "fill-mask"),
        (
            {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"], "vision_config": {}},
            "image-to-text",
        ),
        (
            {"model_type": "of-mine", "architectures": ["MineModel"], "auto_map": {"AutoModel": "m.M"}},
            "feature-extraction",
        ),
    ],
)
def test_the_task_of_a_type_without_a_class(config: dict[str, Any], task: str) -> None:
    assert TasksManager.is_inferred(config["model_type"], config)
    assert TasksManager.infer_task_from_config(config) == task
    assert not TasksManager.is_inferred("bert", {"auto_map": {"AutoModel": "m.M"}})
