"""The matrix of docs/clients.md: what is published, loaded from a local Hub by the clients that people use.

    python -m tests.clients [FOLDER] [MODEL...]

Each model is exported in all variants, proven, published to the Hub of ``tests/hub_server.py``, and asked the
same question through every client; PyTorch has answered it before. FOLDER (``.clients``) holds the clients' own
environments, which ``make clients`` sets up.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onnx_export_action.vocabulary.results import read_result
from onnx_export_action.vocabulary.variants import VARIANTS
from tests.clients.checkpoints import ROOT, checkpoint_of
from tests.hub_server import HubServer

PAGE = ROOT / "docs" / "clients.md"
HERE = Path(__file__).parent
ASK_ONNX_RUNTIME = HERE / "ask_onnxruntime.py"
TEXTS = ["A man is eating food.", "The girl is carrying a baby."]
NEW_TOKENS = 8
QUESTION_DB = 10.0  # one question has more or less noise than the cases by which a file was judged
CLIENT_DB = 3.0  # another client rounds 8 bits otherwise now and then
LEAST_FP32_DB = 60.0


@dataclass(frozen=True)
class Task:
    """A task: its model, and the class by which a client knows it."""

    name: str
    kind: str
    output: str
    classes: Mapping[str, str]
    auto_class: str
    shard_bytes: int | None = None
    """The largest file, where the weights are to lie in pieces beside it, as those of large models do."""

    @property
    def label(self) -> str:
        """The name of its model in the table and on the Hub."""
        return self.kind if self.shard_bytes is None else f"{self.kind}-in-pieces"

    @property
    def is_encoder_decoder(self) -> bool:
        return "Seq2Seq" in self.auto_class

    @property
    def generates(self) -> bool:
        return self.is_encoder_decoder or "CausalLM" in self.auto_class

    @property
    def repo(self) -> str:
        return f"team/{self.label}"


TASKS = (
    Task(
        "feature-extraction",
        "minilm",
        "last_hidden_state",
        {"optimum": "ORTModelForFeatureExtraction", "transformers.js": "AutoModel", "sentence-transformers": ""},
        "AutoModel",
    ),
    Task(
        "text-classification",
        "bert",
        "logits",
        {"optimum": "ORTModelForSequenceClassification", "transformers.js": "AutoModelForSequenceClassification"},
        "AutoModelForSequenceClassification",
    ),
    Task(
        "text-generation",
        "llama",
        "logits",
        {"optimum": "ORTModelForCausalLM", "transformers.js": "AutoModelForCausalLM"},
        "AutoModelForCausalLM",
    ),
    Task(
        "text-generation",
        "llama",
        "logits",
        {"optimum": "ORTModelForCausalLM", "transformers.js": "AutoModelForCausalLM"},
        "AutoModelForCausalLM",
        shard_bytes=20_000,
    ),
    Task(
        "text2text-generation",
        "t5",
        "logits",
        {"optimum": "ORTModelForSeq2SeqLM", "transformers.js": "AutoModelForSeq2SeqLM"},
        "AutoModelForSeq2SeqLM",
    ),
    Task(
        "text2text-generation",
        "t5",
        "logits",
        {"optimum": "ORTModelForSeq2SeqLM", "transformers.js": "AutoModelForSeq2SeqLM"},
        "AutoModelForSeq2SeqLM",
        shard_bytes=20_000,
    ),
    Task(
        "image-classification",
        "vit",
        "logits",
        {"optimum": "ORTModelForImageClassification", "transformers.js": "AutoModelForImageClassification"},
        "AutoModelForImageClassification",
    ),
    Task(
        "automatic-speech-recognition",
        "wav2vec2",
        "logits",
        {"optimum": "ORTModelForCTC", "transformers.js": "AutoModelForCTC"},
        "AutoModelForCTC",
    ),
    Task(
        "automatic-speech-recognition",
        "whisper",
        "logits",
        {"optimum": "ORTModelForSpeechSeq2Seq", "transformers.js": "AutoModelForSpeechSeq2Seq"},
        "AutoModelForSpeechSeq2Seq",
    ),
)


@dataclass(frozen=True)
class Asked:
    """A question, PyTorch's answer to it, and the least signal over noise of each variant's file, in decibels."""

    task: Task
    question: dict[str, Any]
    expected: np.ndarray[Any, Any]
    least: Mapping[str, float]


def main() -> int:
    arguments = sys.argv[1:]
    clients = Path(arguments[0] if arguments else ROOT / ".clients").resolve()
    tasks = [task for task in TASKS if not arguments[1:] or task.label in arguments[1:]]
    with tempfile.TemporaryDirectory(prefix="onnx-export-clients-") as folder, HubServer() as hub:
        hub.add_account("owner-token", "owner", *(task.repo for task in tasks))
        environment = hub.environment(Path(folder) / "home", token="owner-token")
        asked = []
        for task in tasks:
            print(f"{task.name}: exporting and publishing {task.label}", file=sys.stderr, flush=True)
            asked.append(prepared(task, Path(folder), environment))
        cells = all_answers(asked, clients, environment | {"CLIENT_FOLDER": f"{folder}/clients"})
    page = rendered(asked, cells, clients)
    if tasks == list(TASKS):
        PAGE.write_text(page, encoding="utf-8")
    print(page)
    return 1 if "❌" in page else 0


def prepared(task: Task, folder: Path, environment: dict[str, str], made: Iterable[str] = VARIANTS) -> Asked:
    """The model, exported in the variants that are to be ``made``, proven and published; and what PyTorch says."""
    model = checkpoint_of(task.kind, task.name, folder / "models" / task.label)
    output, result = folder / "artifacts" / task.label, folder / "artifacts" / f"{task.label}.result.json"
    command = [sys.executable, "-c", "from onnx_export_action.entrypoints.command_line.cli import main; main()"]
    wanted = task.name + ("-with-past" if task.generates else "")
    variants = [word for variant in made for word in ("--variant", variant)]
    pieces = [] if task.shard_bytes is None else ["--shard-bytes", str(task.shard_bytes)]
    export = ["export", str(model), str(output), "--task", wanted, *variants, *pieces, "--result-json", str(result)]
    publish = ["publish", str(output), "--repo", task.repo]
    for words in (export, publish):
        subprocess.run([*command, *words], check=True, env=environment, stdout=subprocess.DEVNULL)
    files = [file for file in read_result(result).files if "encoder" not in file.path]
    demands = {
        file.variant: output.quality.min_sqnr_db
        for file in files
        for output in file.outputs
        if output.name == task.output and output.quality is not None and output.quality.min_sqnr_db is not None
    }
    question, expected = asked_of_pytorch(task, model)
    return Asked(task, question, expected, dict.fromkeys(VARIANTS, LEAST_FP32_DB) | demands)


def asked_of_pytorch(task: Task, folder: Path) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    import torch
    import transformers

    model = getattr(transformers, task.auto_class).from_pretrained(folder).eval()
    question: dict[str, Any] = {"repo": task.repo, "output": task.output, "kind": task.kind, "label": task.label}
    question["in_pieces"] = task.shard_bytes is not None
    random = np.random.default_rng(0)
    if task.name == "image-classification":
        pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        question["image"] = {"data": pixels.reshape(-1).tolist(), "width": 32, "height": 32}
        inputs = dict(transformers.AutoImageProcessor.from_pretrained(folder)(pixels, return_tensors="pt"))
    elif task.name == "automatic-speech-recognition":
        sound = np.sin(np.arange(8000) / 20) + random.normal(0, 0.1, 8000)
        question["sound"] = sound.astype(np.float32).tolist()
        extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
        inputs = dict(extractor(question["sound"], sampling_rate=16000, return_tensors="pt"))
    else:
        question["texts"] = TEXTS[:1] if task.generates else TEXTS
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        inputs = dict(tokenizer(question["texts"], padding=True, return_tensors="pt"))
    if task.is_encoder_decoder:
        inputs.pop("token_type_ids", None)
    question["inputs"] = {name: tensor.tolist() for name, tensor in inputs.items()}
    with torch.inference_mode():
        if not task.generates:
            return question, model(**inputs)[task.output].numpy()
        # A recogniser that knows many languages is told which one it hears.
        options = {"language": "en", "task": "transcribe"} if task.kind == "whisper" else {}
        tokens = model.generate(**inputs, **options, do_sample=False, num_beams=1, max_new_tokens=NEW_TOKENS)[0]
    settings = model.generation_config
    prompt = [settings.decoder_start_token_id] if task.is_encoder_decoder else question["inputs"]["input_ids"][0]
    if task.kind == "whisper":
        prompt += [settings.lang_to_id["<|en|>"], settings.task_to_id["transcribe"], settings.no_timestamps_token_id]
    question |= {"new_tokens": NEW_TOKENS, "end": settings.eos_token_id, "options": options, "prompt": prompt}
    question |= {"is_encoder_decoder": task.is_encoder_decoder}
    question |= {"not_first": getattr(settings, "begin_suppress_tokens", None) or []}
    found = tokens.tolist()
    return question, np.array(found[len(prompt) :] if found[: len(prompt)] == prompt else found)


def all_answers(
    asked: Sequence[Asked], clients: Path, environment: dict[str, str]
) -> dict[tuple[str, str, str], dict[str, Any]]:
    """By client, model and variant."""
    python = str(clients / "venv" / "bin" / "python")
    node = {**environment, "NODE_PATH": str(clients / "node_modules")}
    script = clients / "ask_transformers_js.mjs"  # beside its packages, as Node looks for them
    script.write_bytes((HERE / script.name).read_bytes())
    commands = {
        "ONNX Runtime": ([sys.executable, str(ASK_ONNX_RUNTIME)], environment),
        "optimum": ([python, str(HERE / "ask_optimum.py")], without_project(environment)),
        "sentence-transformers": ([python, str(HERE / "ask_optimum.py")], without_project(environment)),
        "transformers.js": (["node", str(script)], node),
    }
    found = {}
    for client, (command, its_environment) in commands.items():
        print(f"asking {client}", file=sys.stderr, flush=True)
        questions = list(questions_for(client, asked))
        lines = "".join(json.dumps(question) + "\n" for question in questions)
        answered = subprocess.run(
            command, input=lines, env=its_environment, stdout=subprocess.PIPE, text=True, check=False
        )
        answers = {answer["id"]: answer for answer in map(json.loads, answered.stdout.splitlines())}
        for question in questions:
            missing = {"error": f"no answer: the client ended with exit code {answered.returncode}"}
            found[client, question["label"], question["variant"]] = answers.get(question["id"], missing)
    return found


def without_project(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name != "PYTHONPATH"}


def questions_for(client: str, asked: Iterable[Asked]) -> Iterator[dict[str, Any]]:
    for one in asked:
        if client != "ONNX Runtime" and client not in one.task.classes:
            continue
        for variant, row in VARIANTS.items():
            if client == "transformers.js" and not row.in_transformers_js:
                continue
            class_name = one.task.classes.get(client, "")
            name = f"{one.task.label} {variant}"
            yield one.question | {"id": name, "client": client, "variant": variant, "class": class_name}


def rendered(asked: Sequence[Asked], cells: Mapping[tuple[str, str, str], dict[str, Any]], clients: Path) -> str:
    lines = [
        "# The clients of a published folder",
        "",
        "Made by `make clients`: each model is exported in all variants, proven, published to a local Hub, loaded from",
        "there by each client, and asked what PyTorch was asked. The models are tiny and random but for MiniLM,",
        "whose weights are trained. A cell is the signal over noise against PyTorch in dB, or of",
        "generators how many of PyTorch's tokens come. ✅ in the rows of ONNX Runtime in Python: PyTorch's answer (of",
        "fp32 60 dB, or its tokens; of others what the file must keep, less 10 dB for a single question). ✅ in other",
        "rows: as good as ONNX Runtime with the same file, and of 16 bits and more PyTorch's tokens.",
        "",
        *(f"- {line}" for line in versions(clients)),
        "",
        f"| Task | Model | Client | {' | '.join(VARIANTS)} |",
        f"|---|---|---|{'---|' * len(VARIANTS)}",
    ]
    errors = []
    for one in asked:
        for client in ("ONNX Runtime", *one.task.classes):
            row = []
            for variant in VARIANTS:
                answer = cells.get((client, one.task.label, variant))
                baseline = cells["ONNX Runtime", one.task.label, variant]
                row.append("–" if answer is None else cell(one, client, variant, answer, baseline))
                if answer is not None and "error" in answer:
                    errors.append(f"- {one.task.label}, {client}, {variant}: `{answer['error'].splitlines()[0]}`")
            lines.append(f"| {one.task.name} | {one.task.label} | {client} | {' | '.join(row)} |")
    lines += ["", "–: transformers.js has no such type.", *(["", *errors] if errors else [])]
    return "\n".join(lines) + "\n"


def cell(asked: Asked, client: str, variant: str, answer: Mapping[str, Any], baseline: Mapping[str, Any]) -> str:
    if "error" in answer:
        return "❌ error"
    found = np.array(answer["values"], np.float64)
    if asked.task.generates:
        expected = asked.expected.tolist()
        wanted = expected if not VARIANTS[variant].quantised or client == "ONNX Runtime" else baseline.get("values")
        good = answer["values"] == wanted or (client == "ONNX Runtime" and bool(VARIANTS[variant].quantised))
        pairs = zip(answer["values"], expected, strict=False)
        return f"{'✅' if good else '❌'} {sum(a == b for a, b in pairs)}/{len(expected)}"
    expected = pooled(asked) if client == "sentence-transformers" else asked.expected
    decibels = signal_over_noise(expected.reshape(-1), found)
    least = asked.least[variant] - (0 if VARIANTS[variant].exact else QUESTION_DB)
    if client in ("transformers.js", "optimum"):
        same_file = signal_over_noise(expected.reshape(-1), np.array(baseline.get("values", []), np.float64))
        least = min(max(least, same_file - CLIENT_DB), LEAST_FP32_DB)
    good = decibels >= least
    return f"{'✅' if good else '❌'} {decibels:.0f}"


def pooled(asked: Asked) -> np.ndarray[Any, Any]:
    """The mean over tokens, of length one: what MiniLM's modules.json asks for."""
    mask = np.array(asked.question["inputs"]["attention_mask"])[..., None]
    mean = (asked.expected * mask).sum(axis=1) / mask.sum(axis=1)
    return mean / np.linalg.norm(mean, axis=-1, keepdims=True)


def signal_over_noise(expected: np.ndarray[Any, Any], found: np.ndarray[Any, Any]) -> float:
    if expected.shape != found.shape or not np.isfinite(found).all():
        return -math.inf
    noise = float(np.square(found - expected).sum())
    return 10 * math.log10(float(np.square(expected).sum()) / noise) if noise else math.inf


def versions(clients: Path) -> Iterator[str]:
    import onnxruntime

    yield f"ONNX Runtime {onnxruntime.__version__}"
    names = ("optimum-onnx", "sentence-transformers", "transformers", "onnxruntime")
    code = f"from importlib.metadata import version; print(', '.join(f'{{n}} {{version(n)}}' for n in {names!r}))"
    python = str(clients / "venv" / "bin" / "python")
    yield subprocess.run([python, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    for package in ("@huggingface/transformers", "onnxruntime-node"):
        found = json.loads((clients / "node_modules" / package / "package.json").read_text(encoding="utf-8"))
        yield f"{package} {found['version']}"
    node = subprocess.run(["node", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    yield f"Node.js {node}, {os.uname().machine}"
