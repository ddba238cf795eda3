"""Every model type of text: which files it becomes for which task, and what each takes and gives."""

from types import SimpleNamespace

import pytest

from onnx_export_action.onnx_config import OnnxConfig, TasksManager
from onnx_export_action.vocabulary.errors import ExportError
from tests.unit.onnx_config.configs import bart_config, text_config
from tests.unit.onnx_config.signatures import signature

TEXT = "input_ids[batch_size, sequence_length] attention_mask[batch_size, sequence_length]"
SEGMENTS = "token_type_ids[batch_size, sequence_length]"
ENCODED = "encoder_attention_mask[batch_size, encoder_sequence_length]"
PAST = "past_decoder_sequence_length"
LONGER = f"{PAST} + decoder_sequence_length"

# Files of an encoder-decoder of text, by task.
SEQ2SEQ_FILES = {
    "feature-extraction": {
        "model": "input_ids[batch_size, encoder_sequence_length] attention_mask[batch_size, encoder_sequence_length]"
        " decoder_input_ids[batch_size, decoder_sequence_length]"
        " -> last_hidden_state[batch_size, decoder_sequence_length]"
    },
    "text2text-generation": {
        "encoder_model": "input_ids[batch_size, encoder_sequence_length]"
        " attention_mask[batch_size, encoder_sequence_length]"
        " -> last_hidden_state[batch_size, encoder_sequence_length]",
        "decoder_model": "input_ids[batch_size, decoder_sequence_length]"
        f" encoder_hidden_states[batch_size, encoder_sequence_length] {ENCODED}"
        " -> logits[batch_size, decoder_sequence_length]",
    },
    "text2text-generation-with-past": {
        "encoder_model": "input_ids[batch_size, encoder_sequence_length]"
        " attention_mask[batch_size, encoder_sequence_length]"
        " -> last_hidden_state[batch_size, encoder_sequence_length]",
        "decoder_model": "input_ids[batch_size, decoder_sequence_length]"
        f" encoder_hidden_states[batch_size, encoder_sequence_length] {ENCODED}"
        " -> logits[batch_size, decoder_sequence_length]"
        f" present.0.decoder.key[0: batch_size, 2: {LONGER}]"
        f" present.0.decoder.value[0: batch_size, 2: {LONGER}]"
        " present.0.encoder.key[0: batch_size, 2: encoder_sequence_length]"
        " present.0.encoder.value[0: batch_size, 2: encoder_sequence_length]",
        "decoder_with_past_model": f"input_ids[batch_size, decoder_sequence_length] {ENCODED}"
        f" past_key_values.0.decoder.key[0: batch_size, 2: {PAST}]"
        f" past_key_values.0.decoder.value[0: batch_size, 2: {PAST}]"
        " past_key_values.0.encoder.key[0: batch_size, 2: encoder_sequence_length]"
        " past_key_values.0.encoder.value[0: batch_size, 2: encoder_sequence_length]"
        " -> logits[batch_size, decoder_sequence_length]"
        f" present.0.decoder.key[0: batch_size, 2: {LONGER}]"
        f" present.0.decoder.value[0: batch_size, 2: {LONGER}]",
    },
    "text-generation-with-past": {
        "model": "input_ids[batch_size, sequence_length]"
        " attention_mask[batch_size, past_sequence_length + sequence_length]"
        " past_key_values.0.key[0: batch_size, 2: past_sequence_length]"
        " past_key_values.0.value[0: batch_size, 2: past_sequence_length]"
        " -> logits[batch_size, sequence_length]"
        " present.0.key[0: batch_size, 2: past_sequence_length + sequence_length]"
        " present.0.value[0: batch_size, 2: past_sequence_length + sequence_length]"
    },
    "text-generation": {"model": f"{TEXT} -> logits[batch_size, sequence_length]"},
    "text-classification": {"model": f"{TEXT} -> logits[batch_size]"},
    "question-answering": {
        "model": f"{TEXT} -> start_logits[batch_size, sequence_length] end_logits[batch_size, sequence_length]"
    },
}

BOTH_SIDES = ("feature-extraction", "text2text-generation", "text2text-generation-with-past")
DECODER = ("text-generation", "text-generation-with-past")
READING = ("text-classification", "question-answering")

SEQ2SEQ_TASKS = {
    "bart": (*BOTH_SIDES, *DECODER, *READING),
    "bigbird_pegasus": (*BOTH_SIDES, *DECODER, *READING),
    "blenderbot": (*BOTH_SIDES, *DECODER),
    "blenderbot-small": (*BOTH_SIDES, *DECODER),
    "encoder-decoder": BOTH_SIDES[1:],
    "longt5": BOTH_SIDES,
    "m2m_100": BOTH_SIDES,
    "marian": (*BOTH_SIDES, *DECODER),
    "mbart": (*BOTH_SIDES, *DECODER, *READING),
    "mt5": BOTH_SIDES,
    "pegasus": (*BOTH_SIDES, *DECODER),
    "plbart": (*BOTH_SIDES, *DECODER, "text-classification"),
    "t5": BOTH_SIDES,
}


def seq2seq_config(model_type: str) -> SimpleNamespace:
    if model_type == "encoder-decoder":
        encoder = text_config(model_type="bert", vocab_size=50, max_position_embeddings=24, hidden_size=16)
        return SimpleNamespace(encoder=encoder, decoder=text_config(model_type="bert"), pad_token_id=0)
    blocks = {"attention_type": "block_sparse", "num_random_blocks": 1, "block_size": 4}
    return bart_config(model_type=model_type, decoder_layers=2, **(blocks if model_type == "bigbird_pegasus" else {}))


def configured(model_type: str, task: str, config: SimpleNamespace) -> OnnxConfig:
    return TasksManager.get_exporter_config_constructor(model_type=model_type, task=task)(config)


@pytest.mark.parametrize(
    ("model_type", "task"), [(model_type, task) for model_type, tasks in SEQ2SEQ_TASKS.items() for task in tasks]
)
def test_the_files_of_an_encoder_decoder(model_type: str, task: str) -> None:
    config = configured(model_type, task, seq2seq_config(model_type))
    assert {name: signature(part) for name, part in config.components()} == SEQ2SEQ_FILES[task]


@pytest.mark.parametrize(("model_type", "tasks"), SEQ2SEQ_TASKS.items())
def test_the_tasks_of_an_encoder_decoder(model_type: str, tasks: tuple[str, ...]) -> None:
    with_past = {"feature-extraction-with-past"} if "feature-extraction" in tasks else set()
    assert set(TasksManager.get_supported_tasks_for_model_type(model_type)) == {*tasks} | with_past


def test_an_encoder_and_its_decoder_each_read_with_a_vocabulary_and_positions_of_their_own() -> None:
    config = configured("encoder-decoder", "text2text-generation-with-past", seq2seq_config("encoder-decoder"))
    parts = dict(config.components())
    assert parts["encoder_model"].generate_dummy_inputs("np", sequence_length=24)["input_ids"].max() < 50
    with pytest.raises(ExportError, match="encoder_sequence_length cannot be 25"):
        parts["encoder_model"].generate_dummy_inputs("np", encoder_sequence_length=25)
    decoder = parts["decoder_model"].generate_dummy_inputs("np", decoder_sequence_length=64)
    assert decoder["encoder_hidden_states"].shape == (2, 16, 16)
    assert decoder["input_ids"].max() > 50


def test_sparse_attention_limits_what_its_encoder_reads_and_not_the_decoder() -> None:
    parts = dict(configured("bigbird_pegasus", "text2text-generation", seq2seq_config("bigbird_pegasus")).components())
    assert str(parts["encoder_model"].shape_limits()["encoder_sequence_length"]).startswith("it must be 1 to 28")
    assert "encoder_sequence_length" not in parts["decoder_model"].shape_limits()


# What a type takes to read a text, besides its tokens and their mask.
ENCODERS = {
    **dict.fromkeys(
        [
            "albert",
            "bert",
            "convbert",
            "electra",
            "ernie",
            "flaubert",
            "megatron-bert",
            "mobilebert",
            "nystromformer",
            "rembert",
            "roformer",
            "splinter",
            "squeezebert",
            "xlm",
        ],
        f"{SEGMENTS} ",
    ),
    **dict.fromkeys(
        [
            "big_bird",
            "camembert",
            "data2vec-text",
            "distilbert",
            "esm",
            "ibert",
            "modernbert",
            "mpnet",
            "roberta",
            "xlm-roberta",
            "xlm-roberta-xl",
        ],
        "",
    ),
}


@pytest.mark.parametrize(("model_type", "more"), ENCODERS.items())
def test_the_file_of_an_encoder(model_type: str, more: str) -> None:
    config = text_config(model_type=model_type, attention_type="original_full", position_embedding_type="rotary")
    features = configured(model_type, "feature-extraction", config)
    assert signature(features) == f"{TEXT} {more}-> last_hidden_state[batch_size, sequence_length]"
    assert [name for name, _ in features.components()] == ["model"]


def test_longformer_is_told_which_tokens_see_everything() -> None:
    config = configured("longformer", "question-answering", text_config(model_type="longformer"))
    assert list(config.inputs) == ["input_ids", "attention_mask", "token_type_ids", "global_attention_mask"]
    inputs = config.generate_dummy_inputs("np", padding="mixed", batch_size=3, sequence_length=40)
    seen_by_all = inputs["global_attention_mask"]
    assert 0 < seen_by_all.sum() < inputs["attention_mask"].sum()
    assert not (seen_by_all & (1 - inputs["attention_mask"])).any()


POSITIONS = "position_ids[batch_size, sequence_length]"
DECODERS = {
    **dict.fromkeys(
        [
            "arcee",
            "codegen",
            "cohere",
            "deepseek_v3",
            "falcon",
            "glm",
            "gpt2",
            "gpt_bigcode",
            "gpt_neo",
            "gpt_neox",
            "gptj",
            "granite",
            "helium",
            "llama",
            "mistral",
            "mixtral",
            "olmo",
            "olmo2",
            "opt",
            "phi",
            "phi3",
            "qwen2",
            "qwen3",
            "qwen3_moe",
            "smollm3",
            "stablelm",
        ],
        f"{POSITIONS} ",
    ),
    **dict.fromkeys(["bloom", "gemma", "gemma2", "gemma3", "gemma3_text", "gpt_oss", "mpt", "nemotron"], ""),
}


@pytest.mark.parametrize(("model_type", "more"), DECODERS.items())
def test_the_file_of_a_decoder(model_type: str, more: str) -> None:
    config = text_config(model_type=model_type, alibi=False)
    with_past = configured(model_type, "text-generation-with-past", config)
    inputs, outputs = SEQ2SEQ_FILES["text-generation-with-past"]["model"].split(" past_key_values", 1)
    assert signature(with_past) == f"{inputs} {more}past_key_values{outputs}"
    without = configured(model_type, "text-generation", config)
    assert signature(without) == f"{TEXT} {more}-> logits[batch_size, sequence_length]"
    assert {"feature-extraction", "feature-extraction-with-past"} <= set(
        TasksManager.get_supported_tasks_for_model_type(model_type)
    )
