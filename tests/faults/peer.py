"""What ``validate_model_outputs`` of optimum-onnx says of files; run by the interpreter of the peer's environment.

Reads a JSON list of ``{checkpoint, task, stem, path}`` from stdin, writes a JSON list of answers to stdout: "passes",
or the name and first line of what it raises. Each file is tried in a forked process: some end it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

SECONDS = 60


def main() -> None:
    answers = []
    models: dict[tuple[str, str], Any] = {}
    for asked in json.load(sys.stdin):
        key = (asked["checkpoint"], asked["task"])
        if key not in models:
            models[key] = load(*key)
        answers.append(in_a_process(models[key], asked["stem"], Path(asked["path"])))
    json.dump(answers, sys.stdout)


def load(checkpoint: str, task: str) -> Any:
    """The peer's parts of a model: name to (module, configuration)."""
    import optimum.exporters.onnx.model_configs  # noqa: F401 - fills the registry
    from optimum.exporters.onnx.utils import _get_submodels_and_onnx_configs
    from optimum.exporters.tasks import TasksManager

    model = TasksManager.get_model_from_task(task.removesuffix("-with-past"), checkpoint)
    _, parts = _get_submodels_and_onnx_configs(
        model=model.eval(),
        task=task,
        monolith=False,
        custom_onnx_configs={},
        custom_architecture=False,
        _variant="default",
        library_name="transformers",
    )
    return parts


def in_a_process(parts: Any, stem: str, path: Path) -> str:
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reader)
        signal.alarm(SECONDS)
        os.write(writer, verdict(parts, stem, path).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = stream.read()
    _, status = os.waitpid(process, 0)
    return answer or f"its process dies ({signal.Signals(os.WTERMSIG(status)).name})"


def verdict(parts: Any, stem: str, path: Path) -> str:
    from optimum.exporters.onnx.convert import validate_model_outputs

    if stem == "decoder_model_merged":  # as its own merging sets it, for the branch without a past
        module, config = parts["decoder_model"]
        config.is_merged, config.use_cache_branch = True, False
    else:
        module, config = parts[stem]
    try:
        validate_model_outputs(config, module, path, list(config.outputs), use_subprocess=False)
    except Exception as error:
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    return "passes"


if __name__ == "__main__":
    main()
