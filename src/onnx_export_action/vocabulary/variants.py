"""The variants of an export: their names and the names of their files."""

from __future__ import annotations

from pathlib import PurePosixPath

REFERENCE_VARIANT = "fp32"

OPTIMISATION_LEVELS = ("O1", "O2", "O3", "O4")
"""Variants whose graph is another; O4 is in float16."""

# How transformers.js (https://huggingface.co/docs/transformers.js/guides/dtypes) finds a file by its dtype; it knows no
# bf16 and no levels. sentence-transformers names the files of levels so.
_SUFFIXES = {
    REFERENCE_VARIANT: "",
    "fp16": "_fp16",
    "bf16": "_bf16",
    "int8": "_int8",
    "uint8": "_uint8",
    "q8": "_quantized",
    "q4": "_q4",
    "q4f16": "_q4f16",
    "bnb4": "_bnb4",
    **{level: f"_{level}" for level in OPTIMISATION_LEVELS},
}
VARIANTS = tuple(_SUFFIXES)
"""Every variant; all but the first are made from the first one's files."""

FLOAT32_VARIANTS = frozenset({REFERENCE_VARIANT, "O1", "O2", "O3"})
EXACT_VARIANTS = FLOAT32_VARIANTS - {"O3"}
"""Variants that compute the model's own formulas in float32: the tolerance of the fp32 file holds for them."""

TRANSFORMERS_JS_DTYPES = frozenset(VARIANTS) - {"bf16", *OPTIMISATION_LEVELS}

MASK_FILL = 30_000.0
"""What float16 files have for the lowest float32, with which masks rule positions out.

The lowest float16 (-65504) plus a score of -16 is minus infinity, and a row of nothing else has no softmax.
"""


# What other tools call the same.
_OTHER_NAMES = {
    "float32": REFERENCE_VARIANT,
    "float16": "fp16",
    "half": "fp16",
    "bfloat16": "bf16",
    "quantized": "q8",
    "8bit": "q8",
    "dynamic": "q8",
    "qint8": "int8",
    "quint8": "uint8",
    "int4": "q4",
    "4bit": "q4",
    "nf4": "bnb4",
}


def variant_meant(word: str) -> str | None:
    """The variant that a misspelt word, or another tool's word, most likely means; None where none is near."""
    from onnx_export_action.vocabulary.problems import nearest

    found = nearest(word, [*VARIANTS, *_OTHER_NAMES])
    return None if found is None else _OTHER_NAMES.get(found, found)


def variant_of(path: str) -> str:
    """The variant that a file's name says: the longest suffix that fits, fp32 where none does."""
    stem = PurePosixPath(path).stem
    fitting = (variant for variant in VARIANTS if stem.endswith(_SUFFIXES[variant]))
    return max(fitting, key=lambda variant: len(_SUFFIXES[variant]))


def variant_path(path: str, variant: str) -> str:
    """The path of a variant of the fp32 file ``path``: of ``onnx/model.onnx`` q8 is ``onnx/model_quantized.onnx``."""
    source = PurePosixPath(path)
    return source.with_name(f"{source.stem}{_SUFFIXES[variant]}{source.suffix}").as_posix()


def reference_path(path: str, variant: str) -> str:
    """The path of the fp32 file that the ``variant`` at ``path`` was made from."""
    made = PurePosixPath(path)
    return made.with_name(f"{made.stem.removesuffix(_SUFFIXES[variant])}{made.suffix}").as_posix()
