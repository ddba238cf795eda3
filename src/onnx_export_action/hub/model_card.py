"""The section on ONNX in a model card: between markers of its own, and nothing else of the card is touched.

What a model or a stranger wrote is printed in code spans only (:mod:`onnx_export_action.report.escape`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import yaml

from onnx_export_action.project.document.insertion import with_items
from onnx_export_action.report import figures
from onnx_export_action.report.escape import Markdown, code
from onnx_export_action.vocabulary.results import FileResult, TargetResult
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT, VARIANTS

CARD_NAME = "README.md"
TAGS = ("onnx",)
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)

# Task -> class of optimum.onnxruntime, and pipeline of transformers.js.
_OPTIMUM = {
    "feature-extraction": "ORTModelForFeatureExtraction",
    "fill-mask": "ORTModelForMaskedLM",
    "text-classification": "ORTModelForSequenceClassification",
    "token-classification": "ORTModelForTokenClassification",
    "question-answering": "ORTModelForQuestionAnswering",
    "multiple-choice": "ORTModelForMultipleChoice",
    "text-generation": "ORTModelForCausalLM",
    "text2text-generation": "ORTModelForSeq2SeqLM",
    "image-classification": "ORTModelForImageClassification",
    "automatic-speech-recognition": "ORTModelForSpeechSeq2Seq",
    "audio-classification": "ORTModelForAudioClassification",
}
_PIPELINES = frozenset(_OPTIMUM) - {"multiple-choice"}


def card_with_section(card: str | None, result: TargetResult, files: Sequence[FileResult], repo: str) -> str:
    """The card with the section of this target, in its old place or at the end; metadata that is missing is added."""
    text = card if card is not None else ""
    begin, end = (f"<!-- onnx-export-action: {word} of {result.target} -->" for word in ("begin", "end"))
    section = f"{begin}\n{_section(result, files, repo)}{end}"
    before, found, rest = text.partition(begin)
    if found and end in rest:
        text = before + section + rest.partition(end)[2]
    else:
        gap = "" if not text.strip() else "\n" if text.endswith("\n") else "\n\n"
        text = f"{text}{gap}{section}\n"
    return _with_metadata(text, result, repo)


def _section(result: TargetResult, files: Sequence[FileResult], repo: str) -> str:
    return "\n".join(_lines(result, files, repo)) + "\n"


def _lines(result: TargetResult, files: Sequence[FileResult], repo: str) -> Iterator[str]:
    task = (result.model.task or "").removesuffix("-with-past")
    versions = ", ".join(str(code(f"{name} {result.packages[name]}")) for name in sorted(result.packages))
    yield "## ONNX"
    yield ""
    yield f"Exported for {code(result.model.task or 'unknown')} and proven against PyTorch, file by file."
    yield ""
    yield "| File | Precision | Size | Cases | Worst error | Tolerance used |"
    yield "|---|---|--:|--:|---|---|"
    for file in files:
        worst = max((output.max_abs for output in file.outputs if output.max_abs is not None), default=None)
        cells: list[Markdown] = [
            code(file.path),
            code(file.variant),
            figures.megabytes(file.bytes),
            figures.integer(len(file.cases)),
            figures.error(worst),
            figures.margin(file.worst_margin),
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield f"Made with {versions or 'unknown versions'}."
    yield ""
    yield from _python(_optimum_class(task, files), files[0].path, repo)
    if task in _PIPELINES:
        yield from _javascript(task, files, repo)
    if any(output.name == "sentence_embedding" for file in files for output in file.outputs):
        yield from _sentence_transformers(repo)


def _optimum_class(task: str, files: Sequence[FileResult]) -> str | None:
    """The class of optimum.onnxruntime; a recogniser of speech without a decoder is of the kind of wav2vec2."""
    if task == "automatic-speech-recognition" and not any("decoder" in file.path for file in files):
        return "ORTModelForCTC"
    return _OPTIMUM.get(task)


def _python(class_name: str | None, path: str, repo: str) -> Iterator[str]:
    yield "```python"
    if class_name is not None:
        yield f"from optimum.onnxruntime import {class_name}"
        yield f'model = {class_name}.from_pretrained("{repo}")'
    else:
        yield "import onnxruntime"
        yield "from huggingface_hub import hf_hub_download"
        yield f'session = onnxruntime.InferenceSession(hf_hub_download("{repo}", "{path}"))'
    yield "```"
    yield ""


def _javascript(task: str, files: Sequence[FileResult], repo: str) -> Iterator[str]:
    variants = [file.variant for file in files if VARIANTS[file.variant].in_transformers_js]
    dtype = variants[0] if variants else REFERENCE_VARIANT
    yield "```js"
    yield 'import { pipeline } from "@huggingface/transformers";'
    yield f'const run = await pipeline("{task}", "{repo}", {{ dtype: "{dtype}" }});'
    yield "```"
    yield ""


def _sentence_transformers(repo: str) -> Iterator[str]:
    yield "```python"
    yield "from sentence_transformers import SentenceTransformer"
    yield f'model = SentenceTransformer("{repo}", backend="onnx")'
    yield "```"
    yield ""


def _with_metadata(card: str, result: TargetResult, repo: str) -> str:
    """``base_model``, ``library_name`` and the tag, where they are missing; a front matter of another kind stays."""
    wanted = {"library_name": "transformers"}
    if "/" in result.model.source and result.model.revision is not None and result.model.source != repo:
        wanted["base_model"] = result.model.source
    found = _FRONT_MATTER.match(card)
    if found is None:
        lines = [f"{key}: {value}" for key, value in wanted.items()]
        return "\n".join(["---", *lines, "tags:", *(f"- {tag}" for tag in TAGS), "---", "", card])
    matter = _extended(found[1], wanted)
    return card if matter is None else card[: found.start(1)] + matter + card[found.end(1) :]


def _extended(matter: str, wanted: dict[str, str]) -> str | None:
    try:
        content = yaml.safe_load(matter) or {}
    except yaml.YAMLError:
        return None
    if not isinstance(content, dict):
        return None
    tags = content.get("tags")
    missing = [tag for tag in TAGS if not isinstance(tags, list) or tag not in tags]
    if "tags" in content and missing:
        matter = with_items(matter, "tags", [[f"- {tag}"] for tag in missing]) or matter
    lines = [f"{key}: {value}" for key, value in wanted.items() if key not in content]
    lines += ["tags:", *(f"- {tag}" for tag in missing)] if "tags" not in content else []
    newline = "\r\n" if "\r\n" in matter else "\n"
    return matter + "".join(f"{line}{newline}" for line in lines)
