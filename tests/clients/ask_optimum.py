"""Answers questions with optimum.onnxruntime or sentence-transformers; questions and answers are JSON lines.

Runs in an environment of its own: both want an older transformers than this project.
"""

from __future__ import annotations

import json
import os
import sys
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
    from optimum import onnxruntime as optimum_onnxruntime

    task, repo = question["task"], question["repo"]
    options: dict[str, Any] = {"subfolder": "onnx"}
    if task == "text2text-generation":
        options |= {
            "encoder_file_name": f"encoder_model{suffix}.onnx",
            "decoder_file_name": f"decoder_model_merged{suffix}.onnx",
        }
    else:
        options["file_name"] = f"model{suffix}.onnx"
    model = getattr(optimum_onnxruntime, question["class"]).from_pretrained(repo, **options)
    inputs = {name: torch.tensor(values) for name, values in question["inputs"].items()}
    if "new_tokens" in question:
        tokens = model.generate(**inputs, do_sample=False, num_beams=1, max_new_tokens=question["new_tokens"])
        return tokens[0, question["given"] :].tolist()
    outputs = model(**inputs)
    return outputs[question["output"]].reshape(-1).tolist()


if __name__ == "__main__":
    main()
