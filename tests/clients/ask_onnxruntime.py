"""Answers questions with ONNX Runtime alone, from files of the Hub; questions and answers are lines of JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import onnxruntime
from huggingface_hub import snapshot_download

SUFFIXES = {"fp32": "", "q8": "_quantized"}


def session_of(repo: str, stem: str, variant: str) -> onnxruntime.InferenceSession:
    name = f"{stem}{SUFFIXES.get(variant, f'_{variant}')}.onnx"
    folder = snapshot_download(repo, allow_patterns=[f"onnx/{name}", f"onnx/{name}_data*"])
    path = f"{folder}/onnx/{name}"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(path, options)


def run(session: onnxruntime.InferenceSession, feeds: dict[str, Any]) -> dict[str, Any]:
    names = [value.name for value in session.get_outputs()]
    taken = {value.name for value in session.get_inputs()}
    return dict(zip(names, session.run(names, {k: v for k, v in feeds.items() if k in taken}), strict=True))


def empty_past(session: onnxruntime.InferenceSession) -> dict[str, Any]:
    past = {}
    for value in session.get_inputs():
        if value.name.startswith("past_key_values."):
            sizes = [1, *(size if isinstance(size, int) else 0 for size in value.shape[1:])]
            past[value.name] = np.zeros(sizes, np.float16 if "float16" in value.type else np.float32)
    return past


def greedy(question: dict[str, Any], logits: Any, step: int) -> int:
    """The likeliest token, and of the first one only those that a text may start with."""
    scores = logits[0, -1].copy()
    scores[question["not_first"] if step == 0 else []] = -np.inf
    return int(scores.argmax())


def arrays(question: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, values in question["inputs"].items():
        array = np.array(values)
        found[name] = array.astype(np.float32) if array.dtype.kind == "f" else array
    return found


def numbers(question: dict[str, Any]) -> list[float]:
    feeds = arrays(question)
    outputs = run(session_of(question["repo"], "model", question["variant"]), feeds)
    return outputs[question["output"]].reshape(-1).tolist()


def generated(question: dict[str, Any]) -> list[int]:
    session = session_of(question["repo"], "model", question["variant"])
    feeds = arrays(question)
    ids, past, tokens, length = feeds["input_ids"], empty_past(session), [], 0
    for step in range(question["new_tokens"]):
        length += ids.shape[1]
        positions = np.arange(length - ids.shape[1], length)[None]
        mask = np.ones((1, length), np.int64)
        outputs = run(session, {"input_ids": ids, "attention_mask": mask, "position_ids": positions, **past})
        tokens.append(greedy(question, outputs["logits"], step))
        if tokens[-1] == question["end"]:
            break
        past = {n.replace("present", "past_key_values"): a for n, a in outputs.items() if n.startswith("present.")}
        ids = np.array([[tokens[-1]]])
    return tokens


def decoded(question: dict[str, Any]) -> list[int]:
    feeds = arrays(question)
    states = run(session_of(question["repo"], "encoder_model", question["variant"]), feeds)["last_hidden_state"]
    session = session_of(question["repo"], "decoder_model_merged", question["variant"])
    shared = {"encoder_hidden_states": states, "encoder_attention_mask": feeds.get("attention_mask")}
    ids, past, tokens = np.array([question["prompt"]]), empty_past(session), []
    for step in range(question["new_tokens"]):
        outputs = run(session, {"input_ids": ids, "use_cache_branch": np.array([step > 0]), **shared, **past})
        tokens.append(greedy(question, outputs["logits"], step))
        if tokens[-1] == question["end"]:
            break
        past |= {
            n.replace("present", "past_key_values"): a
            for n, a in outputs.items()
            if n.startswith("present.") and (step == 0 or ".decoder." in n)
        }
        ids = np.array([[tokens[-1]]])
    return tokens


def answer_to(question: dict[str, Any]) -> list[float] | list[int]:
    if "new_tokens" not in question:
        return numbers(question)
    return decoded(question) if question["is_encoder_decoder"] else generated(question)


def main() -> None:
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer: dict[str, Any] = {"values": answer_to(question)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps({"id": question["id"], **answer}), flush=True)


if __name__ == "__main__":
    main()
