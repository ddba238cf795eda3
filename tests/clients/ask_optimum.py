"""Answers questions with optimum.onnxruntime or sentence-transformers; questions and answers are JSON lines.

Runs in an environment of its own: both want an older transformers than this project.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

SUFFIXES = {"fp32": "", "q8": "_quantized"}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the libraries print to stdout
    for line in sys.stdin:
        question = json.loads(line)
        ask = with_sentence_transformers if question["client"] == "sentence-transformers" else with_optimum
        try:
            answer: dict[str, Any] = {
                "values": ask(question, SUFFIXES.get(question["variant"], f"_{question['variant']}"))
            }
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps({"id": question["id"], **answer}), file=answers, flush=True)


def with_sentence_transformers(question: dict[str, Any], suffix: str) -> list[float]:
    from sentence_transformers import SentenceTransformer

    file = f"onnx/model{suffix}.onnx"
    model = SentenceTransformer(question["repo"], backend="onnx", device="cpu", model_kwargs={"file_name": file})
    return model.encode(question["texts"]).reshape(-1).tolist()


def with_optimum(question: dict[str, Any], suffix: str) -> list[float]:
    import torch
    from huggingface_hub import snapshot_download
    from optimum import onnxruntime as optimum_onnxruntime

    # With `subfolder="onnx"` optimum 0.1.0 would look for generation_config.json there, and do without.
    options: dict[str, Any] = {"file_name": f"model{suffix}.onnx"}
    if question.get("is_encoder_decoder"):
        # Beside a merged decoder that is named, it would load the decoder with past of fp32.
        files = {"encoder": "encoder_model", "decoder": "decoder_model", "decoder_with_past": "decoder_with_past_model"}
        options = {f"{part}_file_name": f"{name}{suffix}.onnx" for part, name in files.items()} | {"use_merged": False}
        options = options if suffix else {}
    repo = question["repo"]
    if question["in_pieces"]:  # of files that it is told the names of, optimum 0.1.0 fetches one piece
        repo = snapshot_download(repo, local_dir=Path(os.environ["CLIENT_FOLDER"]) / repo)
    model = getattr(optimum_onnxruntime, question["class"]).from_pretrained(repo, **options)
    inputs = {name: torch.tensor(values) for name, values in question["inputs"].items()}
    if "new_tokens" in question:
        wanted = {"do_sample": False, "num_beams": 1, "max_new_tokens": question["new_tokens"], **question["options"]}
        tokens, prompt = model.generate(**inputs, **wanted)[0].tolist(), question["prompt"]
        return tokens[len(prompt) :] if tokens[: len(prompt)] == prompt else tokens
    outputs = model(**inputs)
    return outputs[question["output"]].reshape(-1).tolist()


if __name__ == "__main__":
    main()
