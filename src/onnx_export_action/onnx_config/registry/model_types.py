"""Names of model types: those that transformers has, those that it had, and those that never were any."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
from pathlib import Path

from onnx_export_action.vocabulary.errors import plan_error

# Model types that transformers had, and since when it has them no more: https://github.com/huggingface/transformers/pull/42235
REMOVED_TYPES = {
    **dict.fromkeys(
        (
            "deta", "efficientformer", "ernie_m", "gptsan-japanese", "graphormer", "jukebox", "mctct", "mega", "nat",
            "nezha", "open-llama", "qdqbert", "realm", "retribert", "speech_to_text_2", "trajectory_transformer",
            "transfo-xl", "tvlt", "van", "vit_hybrid", "xlm-prophetnet",
        ),
        "5.0.0",
    ),
}  # fmt: skip

# Names that other tools register as model types: what is wrong, and what to do.
NOT_MODEL_TYPES = {
    "internlm2": (
        "is no model type of transformers in any version: its code lies in the model's repository",
        "its checkpoints load only with --trust-remote-code, if their code works with transformers 5",
    ),
    "siglip-text": (
        "is a name of optimum's: the model type is siglip_text_model, since transformers 4.37",
        "say siglip_text_model",
    ),
    "siglip-text-with-projection": (
        "is a name of optimum's: the model type is siglip_text_model, since transformers 4.37",
        "say siglip_text_model",
    ),
    "tapex": (
        "is a BART: its checkpoints say model_type bart, and transformers removed TapexTokenizer in 5.0.0",
        "ask for bart, which exports it: onnx-export tasks bart",
    ),
}


@functools.cache
def transformers_model_types() -> frozenset[str]:
    """The model types of the installed transformers, read from its own tables without importing it; none without it."""
    found = importlib.util.find_spec("transformers")
    if found is None or found.origin is None:
        return frozenset()
    tables = (Path(found.origin).parent / "models" / "auto").glob("*auto*.py")
    entry = re.compile(r'"([\w.-]+)"(?:,|:)\s*"\w+Config"')
    return frozenset(name for table in tables for name in entry.findall(table.read_text(encoding="utf-8")))


def require_present(model_type: str) -> None:
    """Refuse a model type that transformers 5 does not have, though it or another tool once had it.

    Raises:
        ExportError: since when it is gone, or what it really is.
    """
    if model_type in REMOVED_TYPES:
        raise plan_error(
            f"transformers has no model type {model_type!r} any more: it was removed in {REMOVED_TYPES[model_type]}",
            "export it with an older tool that still has transformers 4",
        )
    if model_type in NOT_MODEL_TYPES:
        message, hint = NOT_MODEL_TYPES[model_type]
        raise plan_error(f"{model_type!r} {message}", hint)
