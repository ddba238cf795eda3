"""What changed against a base, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onnx_export_action.judging.comparison import Aspect, Axes, Counts, Difference, Names
from onnx_export_action.report import figures
from onnx_export_action.vocabulary.results import InputResult, OutputResult, Verdict

_MOST_OPERATORS = 6


def before_and_after(difference: Difference) -> tuple[str, str]:
    """Both values in words, empty where there was nothing. Names in them are a stranger's: print them escaped."""
    words = _WORDS[difference.aspect]
    return words(difference.before), words(difference.after)


def _verdict(verdict: Verdict) -> str:
    return verdict.value


def _names(names: Names) -> str:
    return ", ".join(names)


def _tensor(tensor: InputResult | OutputResult) -> str:
    return f"{tensor.name} {tensor.dtype}[{', '.join(str(size) if size != '' else '?' for size in tensor.shape)}]"


def _axes(axes: Axes) -> str:
    return ", ".join(f"{axis.input}[{figures.integer(axis.axis)}] {axis.name}" for axis in axes)


def _megabytes(count: int) -> str:
    return _plain(figures.megabytes(count))


def _percent(share: float) -> str:
    return _plain(figures.percent(share))


def _milliseconds(value: float) -> str:
    return _plain(figures.milliseconds(value))


def _tokens(equal: bool) -> str:
    return "PyTorch's tokens" if equal else "other tokens"


def _operators(counts: Counts) -> str:
    more = f" and {len(counts) - _MOST_OPERATORS} more" if len(counts) > _MOST_OPERATORS else ""
    return ", ".join(f"{name} {figures.integer(count)}" for name, count in counts[:_MOST_OPERATORS]) + more


def _plain(text: str) -> str:
    return text.replace("\u00a0", " ")


_WORDS: dict[Aspect, Callable[[Any], str]] = {
    Aspect.VERDICT: _verdict,
    Aspect.TASK: str,
    Aspect.INPUTS: _names,
    Aspect.INPUT: _tensor,
    Aspect.OUTPUTS: _names,
    Aspect.OUTPUT: _tensor,
    Aspect.AXES: _axes,
    Aspect.ENGINE: str,
    Aspect.OPSET: figures.integer,
    Aspect.BYTES: _megabytes,
    Aspect.MARGIN: figures.ratio,
    Aspect.ERROR: figures.error,
    Aspect.AGREEMENT: _percent,
    Aspect.TOKENS: _tokens,
    Aspect.LATENCY: _milliseconds,
    Aspect.OPERATORS: _operators,
}
