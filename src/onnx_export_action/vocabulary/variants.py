"""The variants of an export: one row says all that is known of each. No other list of them exists.

To add one: a row here, its maker in ``variants/``, and how PyTorch imitates it in ``proving/precision/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from onnx_export_action.vocabulary.problems import nearest

MASK_FILL = 30_000.0
"""What float16 files have for the lowest float32, with which masks rule positions out.

The lowest float16 (-65504) plus a score of -16 is minus infinity, and a row of nothing else has no softmax.
"""

BOUNDLESS = 1e30
"""Numbers beyond it mean infinity."""

WEIGHT_ELEMENTS = 1024
"""Initializers from this size on are weights; smaller ones stay in the graph and as they are."""

_PRODUCTS = frozenset({"MatMul", "Gemm"})
_PRODUCTS_AND_TABLES = _PRODUCTS | {"Conv", "ConvTranspose", "Gather"}
_QUANTISING_CALLS = (
    r"optimum-cli[ \t]+onnxruntime[ \t]+quantize|\bORTQuantizer\b|\bonnxruntime\.quantization\b|"
    r"\bscripts[./]convert\b.{0,80}--quantize"
)
_OPTIMISING_CALL = r"optimum-cli[ \t]+onnxruntime[ \t]+optimize\b[^\n]{0,300}(?:\\\n[^\n]{0,300}){0,9}-%s\b"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One precision or form of a target's files."""

    name: str
    suffix: str
    """What the file's name has beyond that of the fp32 file."""
    maker: str | None = None
    """The function of ``variants/`` that makes it, as ``module:name``; None of the files that others are made from."""
    imitation: str | None = None
    """How PyTorch rounds alike: a call of ``proving/precision/``, as ``module:name``.

    None of what computes the model's own formulas in float32: the tolerance of the fp32 file holds for it.
    """
    float32: bool = False
    """Whether all its numbers are float32, so that none could be kept in it."""
    least_db: float | None = None
    """Decibels of signal over noise that a file must keep in any case, however much the precision costs the model.

    Below, its noise is as large as what it says: at 6 dB noise has half the size of the signal and the cosine is 0.89.
    """
    slack_db: float = 4.0
    """Decibels that a file may lose beyond what PyTorch loses when it rounds alike.

    Measured over 9 architectures: 1 at most for what rounds weights, 3 for float16, whose kernels round at other places
    than PyTorch's; a case alone may lose more.
    """
    block_size: int = 0
    """How many weights share a scale, where they are quantised in blocks."""
    quantised: frozenset[str] = frozenset()
    """Operators whose weights it quantises; empty of what rounds all numbers to 16 bits, or none."""
    rewritten: bool = False
    """Whether its graph has other nodes than the fp32 file's, beside those that hold its weights."""
    in_transformers_js: bool = True
    """Whether it is one of its dtypes (https://huggingface.co/docs/transformers.js/guides/dtypes)."""
    default_of: tuple[str, ...] = ()
    """The devices of transformers.js for which it takes this one where nobody says a dtype."""
    half_cache: bool = False
    """Whether the keys and values that a decoder remembers are in float16."""
    other_names: tuple[str, ...] = ()
    """What other tools call it."""
    made_elsewhere: str | None = None
    """A pattern of the calls by which repositories make it with other tools."""

    @property
    def exact(self) -> bool:
        """Whether it is judged as the fp32 file is: element by element, by the same tolerance."""
        return self.imitation is None


_ROWS = (
    Variant(name="fp32", suffix="", float32=True, other_names=("float32",)),
    Variant(
        name="fp16",
        suffix="_fp16",
        maker="float16:make_fp16",
        imitation="sixteen_bits:fp16",
        least_db=30.0,
        slack_db=9.0,
        other_names=("float16", "half"),
        half_cache=True,
    ),
    Variant(
        name="bf16",
        suffix="_bf16",
        maker="bfloat16:make_bf16",
        imitation="sixteen_bits:bf16",
        least_db=20.0,
        in_transformers_js=False,
        other_names=("bfloat16",),
    ),
    Variant(
        name="int8",
        suffix="_int8",
        maker="eight_bits:make_int8",
        imitation="eight_bits:int8",
        least_db=9.0,
        quantised=_PRODUCTS_AND_TABLES,
        other_names=("qint8",),
    ),
    Variant(
        name="uint8",
        suffix="_uint8",
        maker="eight_bits:make_uint8",
        imitation="eight_bits:uint8",
        least_db=9.0,
        quantised=_PRODUCTS_AND_TABLES,
        other_names=("quint8",),
    ),
    Variant(
        name="q8",
        suffix="_quantized",
        maker="eight_bits:make_q8",
        imitation="eight_bits:q8",
        least_db=9.0,
        quantised=_PRODUCTS_AND_TABLES,
        default_of=("wasm",),
        other_names=("quantized", "8bit", "dynamic"),
        made_elsewhere=_QUANTISING_CALLS,
    ),
    Variant(
        name="q4",
        suffix="_q4",
        maker="four_bits:make_q4",
        imitation="four_bits:q4",
        least_db=6.0,
        block_size=32,
        quantised=_PRODUCTS,
        other_names=("int4", "4bit"),
    ),
    Variant(
        name="q4f16",
        suffix="_q4f16",
        maker="four_bits:make_q4f16",
        imitation="four_bits:q4f16",
        least_db=6.0,
        block_size=32,
        quantised=_PRODUCTS,
        half_cache=True,
    ),
    Variant(
        name="bnb4",
        suffix="_bnb4",
        maker="four_bits:make_bnb4",
        imitation="four_bits:bnb4",
        least_db=6.0,
        block_size=64,
        quantised=_PRODUCTS,
        other_names=("nf4",),
    ),
    Variant(
        name="O1",
        suffix="_O1",
        maker="optimisation:make_o1",
        float32=True,
        rewritten=True,
        in_transformers_js=False,
        made_elsewhere=_OPTIMISING_CALL % "O1",
    ),
    Variant(
        name="O2",
        suffix="_O2",
        maker="optimisation:make_o2",
        float32=True,
        rewritten=True,
        in_transformers_js=False,
        made_elsewhere=_OPTIMISING_CALL % "O2",
    ),
    Variant(
        name="O3",
        suffix="_O3",
        maker="optimisation:make_o3",
        imitation="gelu:tanh_gelu",
        least_db=30.0,
        float32=True,
        rewritten=True,
        in_transformers_js=False,
        made_elsewhere=_OPTIMISING_CALL % "O3",
    ),
    Variant(
        name="O4",
        suffix="_O4",
        maker="optimisation:make_o4",
        imitation="gelu:tanh_gelu_in_float16",
        least_db=30.0,
        slack_db=9.0,
        rewritten=True,
        in_transformers_js=False,
        made_elsewhere=_OPTIMISING_CALL % "O4",
    ),
)

VARIANTS: Mapping[str, Variant] = {row.name: row for row in _ROWS}
"""Every variant by its name; all but the first are made from the first one's files."""

REFERENCE_VARIANT = _ROWS[0].name


def variant_meant(word: str) -> str | None:
    """The variant that a misspelt word, or another tool's word, most likely means; None where none is near."""
    meanings = {other: row.name for row in _ROWS for other in (row.name, *row.other_names)}
    found = nearest(word, meanings)
    return None if found is None else meanings[found]


def variant_of(path: str) -> str:
    """The variant that a file's name says: the longest suffix that fits, fp32 where none does."""
    stem = PurePosixPath(path).stem
    return max((row for row in _ROWS if stem.endswith(row.suffix)), key=lambda row: len(row.suffix)).name


def variant_path(path: str, variant: str) -> str:
    """The path of a variant of the fp32 file ``path``: of ``onnx/model.onnx`` q8 is ``onnx/model_quantized.onnx``."""
    source = PurePosixPath(path)
    return source.with_name(f"{source.stem}{VARIANTS[variant].suffix}{source.suffix}").as_posix()


def reference_path(path: str, variant: str) -> str:
    """The path of the fp32 file that the ``variant`` at ``path`` was made from."""
    made = PurePosixPath(path)
    return made.with_name(f"{made.stem.removesuffix(VARIANTS[variant].suffix)}{made.suffix}").as_posix()
