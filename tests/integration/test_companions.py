"""Tokenizers, processors and configurations ship as they were, in the form that clients read, and are tried there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from onnx_export_action.exporting.companions.copied import copy_companions
from onnx_export_action.exporting.companions.proven import prove_companions
from onnx_export_action.vocabulary.errors import ExportError
from tests.conftest import CheckpointFactory
from tests.models import SENTENCES

TEXTS = [*SENTENCES, "İstanbul — naïve café, 日本語 🙂", "  two  spaces\tand a tab"]


def shipped(source: Path, folder: Path) -> Path:
    folder.mkdir()
    assert copy_companions(source, folder).notes == []
    return folder


def ids(folder: Path) -> list[list[int]]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return [list(tokenizer(text)["input_ids"]) for text in TEXTS]


def word_pieces(folder: Path) -> None:
    pieces = sorted({f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"} | set("abcdefghijklmnopqrstuvwxyz.,:;!?"))
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", *pieces]) + "\n")


def byte_pairs(folder: Path) -> None:
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(SENTENCES, vocab_size=400, special_tokens=["<|endoftext|>"], show_progress=False)
    tokenizer.save_model(str(folder))


def sentence_pieces(folder: Path) -> None:
    import sentencepiece

    (folder / "texts.txt").write_text("\n".join(SENTENCES * 20))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "texts.txt"), model_prefix=str(folder / "spiece"), vocab_size=80, minloglevel=2,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
    )  # fmt: skip
    (folder / "texts.txt").unlink()


SLOW: dict[str, tuple[Callable[[Path], None], set[str]]] = {
    "bert": (word_pieces, {"vocab.txt"}),
    "gpt2": (byte_pairs, {"vocab.json", "merges.txt"}),
    "t5": (sentence_pieces, {"spiece.model"}),
}


@pytest.mark.parametrize("with_settings", [True, False], ids=["with its settings", "files alone"])
@pytest.mark.parametrize("model_type", SLOW)
def test_files_of_a_slow_tokenizer_ship_with_the_form_that_javascript_reads(
    model_type: str, with_settings: bool, tmp_path: Path
) -> None:
    make, names = SLOW[model_type]
    source = tmp_path / "model"
    source.mkdir()
    (source / "config.json").write_text(json.dumps({"model_type": model_type}))
    if with_settings:
        (source / "tokenizer_config.json").write_text('{"model_max_length": 64}')
    make(source)
    folder = shipped(source, tmp_path / "shipped")
    assert names | {"tokenizer.json"} <= {path.name for path in folder.iterdir()}
    assert ids(folder) == ids(source)
    for name in names:  # what is left is tokenizer.json alone
        (folder / name).unlink()
    assert ids(folder) == ids(source)


def test_a_converted_tokenizer_does_what_sentencepiece_does(tmp_path: Path) -> None:
    import sentencepiece
    from tokenizers import Tokenizer

    source = tmp_path / "model"
    source.mkdir()
    (source / "config.json").write_text('{"model_type": "t5"}')
    sentence_pieces(source)
    converted = Tokenizer.from_file(str(shipped(source, tmp_path / "shipped") / "tokenizer.json"))
    original = sentencepiece.SentencePieceProcessor(str(source / "spiece.model"))
    for text in SENTENCES:
        assert converted.encode(text).ids == [*original.encode(text), 1]


DAMAGE: dict[str, Callable[[dict[str, object]], object]] = {
    "no vocabulary": lambda tokenizer: tokenizer.pop("model"),
    "of another kind": lambda tokenizer: tokenizer.update(model={"type": "Unknown"}),
    "a list": lambda tokenizer: tokenizer.update(added_tokens={}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_tokenizer_is_an_error(damage: str, own_checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    folder = own_checkpoint("bert")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    DAMAGE[damage](tokenizer)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (tmp_path / "out").mkdir()
    with pytest.raises(ExportError, match=r"tokenizer\.json is damaged"):
        copy_companions(folder, tmp_path / "out")


def test_what_does_not_load_from_the_artifact_is_an_error(own_checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    """transformers takes ``tokenizer.4.0.0.json`` where the settings name it; clients, and the artifact, have one."""
    folder = own_checkpoint("bert")
    (folder / "tokenizer.json").rename(folder / "tokenizer.4.0.0.json")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "fast_tokenizer_files": ["tokenizer.4.0.0.json"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "tokenizer.json").write_text((folder / "tokenizer.4.0.0.json").read_text())
    (tmp_path / "out").mkdir()
    with pytest.raises(ExportError, match="the tokenizer does not load from the artifact"):
        copy_companions(folder, tmp_path / "out")


@pytest.mark.parametrize(
    ("kind", "name", "change", "words"),
    [
        ("bert", "tokenizer.json", {"normalizer": None}, "the tokenizer of the artifact does not do"),
        ("vit", "preprocessor_config.json", {"image_mean": [0.1, 0.2, 0.3]}, "the image processor of the artifact"),
        ("gpt2", "generation_config.json", {"max_length": 7}, "the generation configuration of the artifact"),
        ("gpt2", "config.json", {"n_positions": 7}, "the configuration of the artifact"),
    ],
)
def test_what_does_something_else_from_the_artifact_is_an_error(
    kind: str, name: str, change: dict[str, object], words: str, checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    source = checkpoint(kind)
    folder = shipped(source, tmp_path / "out")
    (folder / name).write_text(json.dumps({**json.loads((folder / name).read_text()), **change}))
    with pytest.raises(ExportError, match=words):
        prove_companions(source, folder, {path.name for path in folder.iterdir()})


def test_a_tokenizer_of_the_repository_s_own_code_is_told(own_checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    folder = own_checkpoint("bert")
    for name in ("tokenizer.json", "vocab.txt"):
        (folder / name).unlink(missing_ok=True)
    (folder / "vocab.json").write_text('{"a": 0}')
    settings = {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["mine.Mine", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "out").mkdir()
    (note,) = copy_companions(folder, tmp_path / "out").notes
    assert note.startswith("the tokenizer could not be loaded and ships as it is, untried:")


@pytest.mark.parametrize("kind", ["bert", "gpt2", "t5", "vit", "whisper", "wav2vec2", "clip"])
def test_what_models_hold_ships_without_a_word(kind: str, checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    shipped(checkpoint(kind), tmp_path / "out")
