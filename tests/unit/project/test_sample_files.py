"""The user's samples: every mistake has its file and line, and no path leads out of the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnx_export_action.project.sample_files import MAX_SAMPLES, Sample, read_samples
from onnx_export_action.vocabulary.errors import ExportError


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / ".git").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "data/photo.PNG").write_bytes(b"not looked at yet")
    (root / "data/voice.wav").write_bytes(b"not looked at yet")
    (tmp_path / "secret.png").write_bytes(b"secret")
    return root


def written(repository: Path, name: str, text: str | bytes) -> Path:
    path = repository / "data" / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def used(path: Path) -> list[Sample]:
    return read_samples(path).used


def test_json_lines_hold_texts_pairs_images_and_sounds_and_labels_are_passed_over(repository: Path) -> None:
    path = written(
        repository,
        "samples.jsonl",
        '{"text": "one", "label": 3}\n\n"two"\r\n{"question": "who?", "context": "Anna."}\n'
        '{"image": "photo.PNG", "text": ""}\n{"audio": "voice.wav"}\n',
    )
    data = repository / "data"
    assert used(path) == [
        Sample(f"{path}:1", text="one"),
        Sample(f"{path}:3", text="two"),
        Sample(f"{path}:4", text="who?", text_pair="Anna."),
        Sample(f"{path}:5", text="", image=data / "photo.PNG"),
        Sample(f"{path}:6", audio=data / "voice.wav"),
    ]


def test_a_csv_may_have_a_mark_quoted_lines_and_other_columns(repository: Path) -> None:
    path = written(repository, "a.csv", '\ufefflabel,text\n1,"two\nlines"\n0,"a, b"\n')
    assert [(sample.text, sample.origin) for sample in used(path)] == [
        ("two\nlines", f"{path}:3"),
        ("a, b", f"{path}:4"),
    ]


def test_a_text_file_has_a_sample_a_line_and_unusual_line_breaks_are_text(repository: Path) -> None:
    path = written(repository, "a.txt", "one\u2028still one\r\n\n  \ntwo")
    assert [sample.text for sample in used(path)] == ["one\u2028still one", "two"]


def test_a_folder_is_read_in_the_order_of_its_names_with_its_own_folders(repository: Path) -> None:
    (repository / "data/cats").mkdir()
    (repository / "data/cats/a.jpg").write_bytes(b"x")
    written(repository, "texts.txt", "hello")
    written(repository, "notes.md", "no sample")
    samples = used(repository / "data")
    assert [sample.image and Path(sample.image).name for sample in samples] == ["a.jpg", "photo.PNG", None, None]
    assert [sample.text for sample in samples][2] == "hello"
    assert samples[3].audio is not None


def test_the_first_samples_are_used_and_all_are_counted(repository: Path) -> None:
    samples = read_samples(written(repository, "a.txt", "line\n" * 100))
    assert (len(samples.used), samples.total) == (MAX_SAMPLES, 100)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.jsonl", '{"text": "one"}\n{"text": \n', "a.jsonl:2: not valid JSON"),
        ("a.jsonl", '{"text": "one"}\n{"label": 1}\n', "a.jsonl:2: a sample has a text"),
        ("a.jsonl", '{"text": 7}\n', "a.jsonl:1: text must be text, not 7"),
        ("a.jsonl", '{"text_pair": "x"}\n', "a.jsonl:1: a text_pair without a text"),
        ("a.jsonl", "[" * 100_000, "a.jsonl:1: not valid JSON"),
        ("a.jsonl", '{"image": "gone.png"}\n', "a.jsonl:1: there is no file"),
        ("a.jsonl", '{"image": "../../secret.png"}\n', "a.jsonl:1: .* leads out of"),
        ("a.jsonl", '{"image": "/etc/passwd"}\n', "a.jsonl:1: .* leads out of"),
        ("a.jsonl", '{"image": "a.jsonl"}\n', "a.jsonl:1: .* neither an image nor a sound"),
        ("a.jsonl", '{"image": "' + "x" * 5000 + '"}\n', "a.jsonl:1: "),
        ("a.jsonl", '{"image": "a\\u0000b.png"}\n', "a.jsonl:1: "),
        ("a.csv", "text\nok\na,b\n", "a.csv:3: more values"),
        ("a.csv", 'text\n"open\n', "a.csv:.*not valid CSV"),
        ("a.csv", "words,label\nx,1\n", "a.csv:1: no column is called text"),
        ("a.txt", b"fine\nbad \xff\n", "a.txt:2: the text is not UTF-8"),
        ("a.txt", "\n\n", "a.txt holds no samples"),
        ("a.txt", "x" * (5 * 2**20), "larger than 4 MiB"),
        ("a.parquet", "", "samples are a folder, or a file that ends in"),
    ],
)
def test_a_mistake_is_named_with_its_place(repository: Path, name: str, text: str | bytes, words: str) -> None:
    with pytest.raises(ExportError, match=words):
        read_samples(written(repository, name, text))


def test_a_link_out_of_the_repository_is_not_followed(repository: Path) -> None:
    (repository / "data/link.png").symlink_to(repository.parent / "secret.png")
    with pytest.raises(ExportError, match="leads out of"):
        read_samples(repository / "data")
    with pytest.raises(ExportError, match=r"a\.jsonl:1: .* leads out of"):
        read_samples(written(repository, "a.jsonl", '{"image": "link.png"}'))


def test_a_file_that_is_not_there_is_named(repository: Path) -> None:
    with pytest.raises(ExportError, match=r"gone\.txt cannot be read: No such file"):
        read_samples(repository / "data/gone.txt")
