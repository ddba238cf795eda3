"""Which sizes a model takes, and which axes of its inputs and outputs move with each; only what a run showed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from onnx_export_action.configuring.calls import Axis, Calls
from onnx_export_action.onnx_config.inferred import Facts
from onnx_export_action.onnx_config.shapes import ShapeLimit, fixed_at

FRAMES = "nb_max_frames"

# Size by shape argument -> the name of the axes that it moves, and other sizes to try.
_ARGUMENTS: dict[str, tuple[str, tuple[int, ...]]] = {
    "batch_size": ("batch_size", (3, 1)),
    "sequence_length": ("sequence_length", (37, 1)),
    "decoder_sequence_length": ("decoder_sequence_length", (37, 1)),
    "audio_sequence_length": ("sequence_length", (24_000, 12_345)),
    FRAMES: ("num_frames", (1_001, 1)),
    "image_height": ("height", ()),
    "image_width": ("width", ()),
}
_LONGEST_TRIED = 1024


@dataclass(frozen=True)
class _Trials:
    """A size by shape argument: which are possible, and the sizes of all axes in the calls that had another one."""

    argument: str
    limit: ShapeLimit
    sizes: tuple[Mapping[Axis, int], ...] = ()

    def moved(self, base: Mapping[Axis, int]) -> Iterable[Mapping[Axis, tuple[int, int]]]:
        """Of each call, the axes that had another size than in ``base``: that one and the new one."""
        for sizes in self.sizes:
            yield {axis: (base[axis], size) for axis, size in sizes.items() if base[axis] != size}


def with_axes(calls: Calls, outputs: list[str]) -> Facts:
    """The facts, complete: names of the axes that vary, and the sizes that the model takes."""
    base = calls.answer().sizes(outputs)
    trials = [_trials(calls, outputs, base, argument) for argument in _ARGUMENTS]
    return replace(
        calls.facts,
        inputs=_names_of_inputs(calls, trials, base),
        outputs=_names_of_outputs(calls, outputs, trials, base),
        limits={one.argument: one.limit for one in trials},
    )


def _trials(calls: Calls, outputs: list[str], base: Mapping[Axis, int], argument: str) -> _Trials:
    """Other sizes of one argument; it is fixed unless all of them run."""
    default, longest = calls.size(argument), _longest(calls, argument)
    sizes = _ARGUMENTS[argument][1] or _image_sizes(default)
    wanted = tuple(size if longest is None else min(size, longest) for size in sizes)
    try:
        tried = tuple(calls.answer({argument: size}).sizes(outputs) for size in wanted)
    except Exception:  # whatever the model's own code raises
        return _Trials(argument, fixed_at(default, "the model did not run with another size"))
    if any(trial.keys() != base.keys() for trial in tried):
        return _Trials(argument, fixed_at(default, "the model's outputs have other axes with another size"))
    if longest is None:
        return _Trials(argument, ShapeLimit(min(wanted), None, "smaller sizes were not tried"), tried)
    return _Trials(argument, ShapeLimit(1, longest, f"the model has {longest} positions"), tried)


def _longest(calls: Calls, argument: str) -> int | None:
    """How many positions there are; as many as RoBERTa's fewer where the last ones are out of reach."""
    if argument not in ("sequence_length", "decoder_sequence_length"):
        return None
    normalized = calls.onnx_config.normalized_config
    positions = normalized.get("max_position_embeddings")
    if not isinstance(positions, int) or positions < 1:
        return None
    offset = (normalized.get("pad_token_id") or 0) + 1
    if positions <= _LONGEST_TRIED:
        with suppress(Exception):  # whatever the model's own code raises
            calls.answer({argument: positions})
            return positions
    return max(1, positions - offset)


def _moving_arguments(trials: list[_Trials], base: Mapping[Axis, int]) -> dict[Axis, list[str]]:
    """The arguments that each axis moves with, once for each call in which it did."""
    moving: dict[Axis, list[str]] = {}
    for one in trials:
        for moved in one.moved(base):
            for axis in moved:
                moving.setdefault(axis, []).append(one.argument)
    return dict(sorted(moving.items()))


def _names_of_inputs(calls: Calls, trials: list[_Trials], base: Mapping[Axis, int]) -> dict[str, dict[int, str]]:
    """The usual name of each axis, or one of its own where it does not always have the size of that name."""
    seen = {one.argument: one.sizes for one in trials}
    names: dict[str, dict[int, str]] = {name: {} for name in calls.facts.inputs}
    taken: dict[str, tuple[int, ...]] = {}
    for (name, number), arguments in _moving_arguments(trials, base).items():
        if name in names:
            sizes = (base[name, number], *(trial[name, number] for trial in seen[arguments[0]]))
            names[name][number] = _name_of_its_own(taken, _ARGUMENTS[arguments[0]][0], f"{name}_{number}", sizes)
    return names


def _names_of_outputs(
    calls: Calls, outputs: list[str], trials: list[_Trials], base: Mapping[Axis, int]
) -> dict[str, dict[int, str]]:
    """The name of an axis of an input that always has the same size, or one of its own."""
    inputs = _names_of_inputs(calls, trials, base)
    followed = _followed(calls, trials, base)
    names: dict[str, dict[int, str]] = {name: {} for name in outputs}
    for (name, number), arguments in _moving_arguments(trials, base).items():
        if name in names:
            alike = sorted(followed[name, number]) if len(set(arguments)) == 1 else []
            names[name][number] = inputs[alike[0][0]][alike[0][1]] if alike else f"{name}_{number}"
    return names


def _followed(calls: Calls, trials: list[_Trials], base: Mapping[Axis, int]) -> dict[Axis, set[Axis]]:
    """The axes of inputs that had the same size as each axis in every call in which it moved."""
    followed: dict[Axis, set[Axis]] = {}
    for one in trials:
        for moved in one.moved(base):
            for axis, sizes in moved.items():
                same = {other for other, theirs in moved.items() if other[0] in calls.facts.inputs and theirs == sizes}
                followed[axis] = same & followed.get(axis, same)
    return followed


def _name_of_its_own(names: dict[str, tuple[int, ...]], usual: str, own: str, sizes: tuple[int, ...]) -> str:
    """The usual name for an axis, or one that no axis of other sizes has; the names so far are in ``names``."""
    same = next((name for name, others in names.items() if others == sizes and name != usual), None)
    name = usual if names.setdefault(usual, sizes) == sizes else same or own
    names.setdefault(name, sizes)
    return name


def _image_sizes(default: int) -> tuple[int, ...]:
    """A larger and a smaller image."""
    step = min(32, max(1, default // 4))
    return default + step, max(step, default - step)
