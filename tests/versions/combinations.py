"""Which versions are tried together, and with which models."""

from __future__ import annotations

import datetime
import random
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from onnx_export_action.vocabulary.supported.versions import NEEDED
from tests.architectures.expected import Pair, read_expected

ROOT = Path(__file__).parents[2]

# Minor releases of transformers 5 that are supported; the next one goes in here when it is out.
MINORS = range(15, 25)

# Types that some release broke, or that need help which depends on the release.
WATCHED = (
    Pair("llama", "text-generation-with-past"),
    Pair("phi3", "text-generation-with-past"),
    Pair("mixtral", "text-generation-with-past"),
    Pair("gpt_oss", "text-generation-with-past"),
    Pair("deepseek_v3", "text-generation-with-past"),
    Pair("qwen3_next", "feature-extraction"),
    Pair("jamba", "feature-extraction"),
    Pair("mamba", "feature-extraction"),
    Pair("bamba", "feature-extraction"),
    Pair("longformer", "fill-mask"),
    Pair("swinv2", "image-classification"),
    Pair("mobilenet_v2", "image-classification"),
    Pair("maskformer", "image-segmentation"),
    Pair("moonshine", "automatic-speech-recognition-with-past"),
    Pair("speecht5", "text-to-audio"),
    Pair("dbrx", "feature-extraction"),
    Pair("pixtral", "feature-extraction"),
    Pair("siglip2_vision_model", "feature-extraction"),
    Pair("recurrent_gemma", "feature-extraction"),
    Pair("xlstm", "feature-extraction"),
)
BY_TORCH_EXPORT = (Pair("bert", "fill-mask"), Pair("gpt2", "text-generation-with-past"))
"""Types for the second engine, which takes ten times as long."""


@dataclass(frozen=True)
class Combination:
    """Requirements for pip, laid over the environment of ``make setup``; ``refused`` where a command must say so."""

    name: str
    requirements: tuple[str, ...] = ()
    refused: bool = False
    before_releases: bool = False
    """Whether pip may take what is not released yet."""


def combinations() -> list[Combination]:
    """All of them, the oldest first."""
    first = MINORS[0]
    return [
        Combination(f"transformers 5.{first - 1}", (f"transformers==5.{first - 1}.*",), refused=True),
        Combination("oldest", tuple(f"{name}=={bound}" for name, bound in lower_bounds().items())),
        *(Combination(f"transformers 5.{minor}", (f"transformers==5.{minor}.*",)) for minor in MINORS),
        Combination("constraints.txt"),
        Combination("newest", tuple(without_torch())),
        Combination("pre-releases", tuple(without_torch()), before_releases=True),
    ]


def without_torch() -> dict[str, str]:
    """The packages that an export needs with their versions, but torch: of that pip would take a build for GPUs."""
    needed = {name: f"{name}{versions}" for name, versions in NEEDED.items() if name != "torch"}
    return {needed[name]: name for name in needed} | {"onnxscript": "onnxscript"}


def lower_bounds() -> dict[str, str]:
    """The oldest version of every package, but torch, that pyproject.toml admits for an export."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = (*project["dependencies"], *project["optional-dependencies"]["export"])
    bounds = dict(re.fullmatch(r"([\w-]+)>=([\w.]+)(?:,.*)?", entry).groups() for entry in listed)  # type: ignore[union-attr]
    return {name: bound for name, bound in bounds.items() if name != "torch"}


def sample(size: int, seed: str | None = None) -> list[Pair]:
    """The watched pairs, and others of ``size`` registered types that change from day to day."""
    expected = read_expected()
    chance = random.Random(seed or datetime.datetime.now(tz=datetime.UTC).date().isoformat())
    watched = {pair.model_type for pair in (*WATCHED, *BY_TORCH_EXPORT)}
    types = chance.sample(sorted(set(expected.architectures) - watched), size)
    drawn = [Pair(model_type, chance.choice(expected.architectures[model_type].tasks)) for model_type in types]
    return [*WATCHED, *(pair for pair in drawn if expected.known_failure(pair) is None)]
