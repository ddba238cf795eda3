"""How a model type without a configuration class is exported: found from its signature and from runs of the model.

In order: the inputs that its ``forward`` takes and runs with; the outputs that it gives and that depend on the input;
which sizes it takes, and which axes of inputs and outputs move with each. Nothing is assumed that a run did not show.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch

from onnx_export_action.onnx_config.base import TASK_OUTPUTS, OnnxConfig
from onnx_export_action.onnx_config.dummy_inputs.audio import DummyFramesFirstGenerator
from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator
from onnx_export_action.onnx_config.dummy_inputs.text import DummyImagePromptGenerator
from onnx_export_action.onnx_config.dummy_inputs.unregistered import call_forms
from onnx_export_action.onnx_config.inferred import (
    COMPANIONS,
    GENERATOR_SETS,
    GENERATORS,
    SUBJECTS,
    Facts,
    InferredOnnxConfig,
    NormalizedAnyConfig,
)
from onnx_export_action.onnx_config.modalities import (
    TextDecoderOnnxConfig,
    TextDecoderWithPositionIdsOnnxConfig,
    TextSeq2SeqOnnxConfig,
)
from onnx_export_action.onnx_config.shapes import ShapeLimit, fixed_at
from onnx_export_action.onnx_config.tasks import split_past
from onnx_export_action.traceable.calling import FlatModel
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.results import Stage

# What becomes several files, or one with a cache, follows the classes of its kind where the model runs as they say.
_KINDS: dict[str, tuple[type[OnnxConfig], ...]] = {
    "text-generation": (TextDecoderWithPositionIdsOnnxConfig, TextDecoderOnnxConfig),
    "text2text-generation": (TextSeq2SeqOnnxConfig,),
}

# Five seconds of speech are as good as thirty where a model takes any length, and several times as fast.
_FRAMES, _FEW_FRAMES = "nb_max_frames", 600

# Size by shape argument -> the name of the axes that it moves, and other sizes to try.
_ARGUMENTS: dict[str, tuple[str, tuple[int, ...]]] = {
    "batch_size": ("batch_size", (3, 1)),
    "sequence_length": ("sequence_length", (37, 1)),
    "decoder_sequence_length": ("decoder_sequence_length", (37, 1)),
    "audio_sequence_length": ("sequence_length", (24_000, 12_345)),
    _FRAMES: ("num_frames", (1_001, 1)),
    "image_height": ("height", ()),
    "image_width": ("width", ()),
}
_LONGEST_TRIED = 1024
_NEVER_OUTPUTS = ("loss", "past_key_values", "hidden_states", "attentions", "cache")


def infer_onnx_config(model: Any, task: str, declared: Sequence[Facts] | None = None) -> OnnxConfig:
    """A configuration for a model of any type; of one file with one of the ``declared`` sets of inputs, if given.

    Raises:
        ExportError: the model runs with no inputs that could be made for it, or keeps no past that a file could take.
    """
    stem, with_past = split_past(task)
    for kind in _KINDS.get(stem, ()):
        with suppress(Exception):  # the model is not of that kind, whatever it says about that
            onnx_config = kind(model.config, task=task)
            if declared is not None and len(onnx_config.components()) > 1:
                continue
            if _takes(model, onnx_config) and all(_runs(model, part) for _, part in onnx_config.components()):
                return onnx_config
    if with_past:
        raise ExportError(
            f"{type(model).__name__} keeps no past that an ONNX file could take and give",
            stage=Stage.EXPORT,
            hint=f"use the task {stem}; a cache of keys and values, one of each a layer, is needed",
        )
    return InferredOnnxConfig(model.config, stem, _facts(model, stem, declared))


def _takes(model: Any, onnx_config: OnnxConfig) -> bool:
    """Whether ``forward`` knows all inputs that are no cache, and that positions and the mask make a difference.

    Others would go unused into its keyword arguments, and the graph would not have them.
    """
    parameters = inspect.signature(model.forward).parameters
    first = onnx_config.components()[0][1]
    if not all(name in parameters for name in first.inputs if not name.startswith("past_key_values")):
        return False
    inputs = first.generate_dummy_inputs("pt", padding="none")
    with torch.inference_mode():
        given = FlatModel(model, first)(*inputs.values())[0]
        return all(
            not torch.equal(
                given, FlatModel(model, first)(*(inputs | {name: torch.zeros_like(inputs[name])}).values())[0]
            )
            for name in ("position_ids", "attention_mask")
            if name in inputs
        )


def _runs(model: Any, onnx_config: OnnxConfig) -> bool:
    """Whether the model gives the outputs with the axes that are declared."""
    before, after = (
        _output_shapes(model, onnx_config, **shapes)
        for shapes in (dict[str, int](), {"batch_size": 3, "sequence_length": 5, "past_sequence_length": 7})
    )
    return all(
        {axis for axis, size in enumerate(shape) if size != after[name][axis]} <= set(onnx_config.outputs[name])
        for name, shape in before.items()
    )


def _output_shapes(model: Any, onnx_config: OnnxConfig, **shapes: Any) -> dict[str, tuple[int, ...]]:
    inputs = onnx_config.generate_dummy_inputs("pt", **shapes)
    with torch.inference_mode():
        outputs = FlatModel(model, onnx_config)(*inputs.values())
    return {name: tuple(value.shape) for name, value in zip(onnx_config.outputs, outputs, strict=True)}


def _facts(model: Any, task: str, declared: Sequence[Facts] | None) -> Facts:
    reasons: list[str] = []
    impossible: list[str] = []
    for facts in _candidates(model) if declared is None else declared:
        try:
            found = _with_few_frames(model, task, facts) or _complete(model, task, facts)
            if found is not None:
                return found
            reasons.append(f"with {', '.join(facts.inputs)} it gives no tensor that depends on them")
        except ExportError as error:
            impossible.append(error.message)
        except Exception as error:  # whatever the model's own code raises on this input
            text = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
            reasons.append(f"with {', '.join(facts.inputs)}: {text}")
    said = (*reasons, *impossible, "it takes none of the inputs that are known")[0]
    raise ExportError(
        f"no call of {type(model).__name__} was found that runs ({said})",
        stage=Stage.EXPORT,
        hint="name other inputs; which the model takes, its forward says"
        if declared is not None
        else f"declare its inputs, or write an OnnxConfig for it; tried: {', '.join(SUBJECTS)} and what goes with them",
    )


def _complete(model: Any, task: str, facts: Facts) -> Facts | None:
    """The facts with outputs and axes, None where the model gives nothing that depends on the inputs."""
    observed = _Model(model, task, facts)
    return observed.with_axes() if observed.outputs else None


def _with_few_frames(model: Any, task: str, facts: Facts) -> Facts | None:
    """The same of short sound, None unless the model takes spectrograms of any length."""
    if not {"input_features", "audio_mel"} & set(facts.inputs):
        return None
    with suppress(Exception):  # whatever the model's own code raises
        found = _complete(model, task, replace(facts, sizes={_FRAMES: _FEW_FRAMES}))
        if found is not None and found.limits[_FRAMES].maximum is None:
            return found
    return None


def _candidates(model: Any) -> Iterator[Facts]:
    """Inputs to try: what is usual before what is special, unless the model cannot do without something special."""
    parameters = inspect.signature(model.forward).parameters
    needed = {
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    groups = [_usual_candidates(model, parameters), _special_candidates(model, parameters, needed)]
    if not needed <= {*SUBJECTS, *COMPANIONS}:
        groups.reverse()
    return itertools.chain(*groups, _larger_images(model, parameters))


def _larger_images(model: Any, parameters: Mapping[str, Any]) -> Iterator[Facts]:
    """Images of four times the side that a part of the model is made for: some cut theirs into pieces."""
    for facts in _usual_candidates(model, parameters):
        if "pixel_values" in facts.inputs:
            shapes = InferredOnnxConfig(model.config, "feature-extraction", facts).dummy_shapes()
            yield replace(facts, sizes={"image_height": 4 * shapes.image_height, "image_width": 4 * shapes.image_width})


def _special_candidates(model: Any, parameters: Mapping[str, Any], needed: set[str]) -> Iterator[Facts]:
    """The forms of calls that ``forward`` has all names of, and that give it all that it needs."""
    for form in call_forms(NormalizedAnyConfig(model.config)):
        names = {*form.inputs, *form.constants}
        if names <= set(parameters) and needed <= names:
            yield Facts({name: {} for name in form.inputs}, generators=form.generators, constants=form.constants)


def _usual_candidates(model: Any, parameters: Mapping[str, Any]) -> Iterator[Facts]:
    """Everything that ``forward`` takes first, then the main one alone, then each."""
    known = [name for name in SUBJECTS if name in parameters]
    main = [name for name in (getattr(model, "main_input_name", None),) if name in known]
    companions = [name for name in COMPANIONS if name in parameters]
    subjects = [known, main, *([name] for name in known)]
    fewer = [companions, [name for name in companions if name == "decoder_input_ids"], companions[:1], []]
    seen = set()
    for names, more in itertools.product(subjects, fewer):
        inputs = (*names, *more)
        if not names or inputs in seen:
            continue
        seen.add(inputs)
        for generators in GENERATOR_SETS:
            if generators is GENERATORS or any(_is_special(generators[0], name, inputs) for name in inputs):
                yield Facts({name: {} for name in inputs}, generators=generators)


def _is_special(generator: type[DummyInputGenerator], name: str, inputs: tuple[str, ...]) -> bool:
    """Whether a generator that stands before the others would make an input in another way than they do."""
    if generator is DummyImagePromptGenerator:
        return name == "input_ids" and "pixel_values" in inputs
    if generator is DummyFramesFirstGenerator:
        return name == "input_features"
    return name in generator.SUPPORTED_INPUT_NAMES


class _Model:
    """A model called with one set of inputs, in one size after another."""

    def __init__(self, model: Any, task: str, facts: Facts) -> None:
        self._model = model
        self._task = task
        self._facts = facts
        self._defaults = InferredOnnxConfig(model.config, task, facts).dummy_shapes()
        # Said always: it would follow `sequence_length`.
        self._base_sizes = {"decoder_sequence_length": self._defaults.decoder_sequence_length}
        self._base_sizes |= self._sizes_that_run()
        first = self._call(seed=0)
        second = self._call(seed=1)
        again = self._call(seed=0)
        self.outputs = [
            name
            for name, value in first.items()
            if self._depends(value, second.get(name)) and _is_repeated(value, again.get(name))
        ]
        wanted = [name for name in TASK_OUTPUTS.get(task, {}) if name in self.outputs]
        found = self.outputs
        self.outputs = wanted if len(wanted) == len(TASK_OUTPUTS.get(task, {"": {}})) else found
        if not self._all_matter(first):
            # What the task is about may come before an input is read.
            self.outputs = found
            self.outputs = found if self._all_matter(first) else []

    def _sizes_that_run(self) -> dict[str, int]:
        """A batch of two where the model takes one, else a single row."""
        try:
            self._call(batch_size=2)
        except Exception:  # whatever the model's own code raises
            self._call(batch_size=1)
            return {"batch_size": 1}
        return {"batch_size": 2}

    def _all_matter(self, outputs: Mapping[str, torch.Tensor]) -> bool:
        """Whether every input does; one subject alone must, as the outputs depend on it."""
        subjects = [name for name in self._facts.inputs if name in SUBJECTS]
        companions = [name for name in COMPANIONS if name in self._facts.inputs]
        doubtful = [*(subjects if len(subjects) > 1 else ()), *companions]
        return all(self._matters(name, outputs) for name in doubtful)

    def _matters(self, name: str, outputs: Mapping[str, torch.Tensor]) -> bool:
        """Whether outputs change where an input is all zeros; a graph has no input that nothing reads."""
        try:
            without = self._call(emptied=name)
        except Exception:  # whatever the model's own code raises
            return True
        return any(name not in without or not torch.equal(outputs[name], without[name]) for name in self.outputs)

    def _call(self, *, seed: int = 0, emptied: str | None = None, **sizes: Any) -> dict[str, torch.Tensor]:
        """The outputs by path; ``emptied`` names an input that is all zeros."""
        shapes: dict[str, Any] = {**self._base_sizes, **sizes}
        onnx_config = InferredOnnxConfig(self._model.config, self._task, self._facts)
        inputs = onnx_config.generate_dummy_inputs("pt", seed=seed, **shapes)
        if emptied is not None:
            inputs[emptied] = torch.zeros_like(inputs[emptied])
        accepted = inspect.signature(self._model.forward).parameters
        constant = {"use_cache": False, "return_dict": True}
        arguments = onnx_config.extra_forward_arguments
        arguments |= {name: value for name, value in constant.items() if name in accepted}
        with torch.inference_mode():
            outputs = self._model(**inputs, **arguments)
        self._inputs = {name: tuple(value.shape) for name, value in inputs.items()}
        return dict(_tensors(outputs))

    @staticmethod
    def _depends(first: torch.Tensor, second: torch.Tensor | None) -> bool:
        """Whether an output differs between two inputs, and is a number that can be compared."""
        if second is None or not first.is_floating_point() or first.numel() == 0:
            return False
        return first.shape != second.shape or not torch.equal(first, second)

    def with_axes(self) -> Facts:
        """The facts, complete."""
        base = self._shapes()
        moved: dict[tuple[str, int], list[str]] = {}
        limits: dict[str, ShapeLimit] = {}
        seen: dict[str, dict[tuple[str, int], tuple[int, ...]]] = {}
        followed: dict[tuple[str, int], set[tuple[str, int]]] = {}
        for argument, (_, sizes) in _ARGUMENTS.items():
            default = self._size(argument)
            limit, trials = self._trials(argument, default, sizes or _image_sizes(default), base)
            limits[argument] = limit
            seen[argument] = {axis: (size, *(shapes[axis] for shapes in trials)) for axis, size in base.items()}
            for shapes in trials:
                changed = {axis for axis, size in shapes.items() if base.get(axis) != size}
                for axis in changed:
                    moved.setdefault(axis, []).append(argument)
                    same = {
                        other
                        for other in changed
                        if other[0] in self._facts.inputs
                        and shapes[other] == shapes[axis]
                        and base[other] == base[axis]
                    }
                    followed[axis] = same & followed.get(axis, same)
        return self._named(moved, followed, limits, seen)

    def _size(self, argument: str) -> int:
        return self._base_sizes.get(argument, int(getattr(self._defaults, argument)))

    def _shapes(self, **sizes: Any) -> dict[tuple[str, int], int]:
        """Size of every axis of every input and output."""
        outputs = self._call(**sizes)
        tensors = self._inputs | {name: tuple(outputs[name].shape) for name in self.outputs}
        return {(name, axis): size for name, shape in tensors.items() for axis, size in enumerate(shape)}

    def _trials(
        self, argument: str, default: int, sizes: tuple[int, ...], base: Mapping[tuple[str, int], int]
    ) -> tuple[ShapeLimit, list[dict[tuple[str, int], int]]]:
        """Which sizes an argument may have, and the shapes that came of them; fixed unless all of them run."""
        longest = self._longest(argument)
        wanted = tuple(size if longest is None else min(size, longest) for size in sizes)
        trials = []
        try:
            for size in wanted:
                trials.append(self._shapes(**{argument: size}))
        except Exception:  # whatever the model's own code raises
            return fixed_at(default, "the model did not run with another size"), []
        if any(trial.keys() != base.keys() for trial in trials):
            return fixed_at(default, "the model's outputs have other axes with another size"), []
        if longest is None:
            return ShapeLimit(min(wanted), None, "smaller sizes were not tried"), trials
        return ShapeLimit(1, longest, f"the model has {longest} positions"), trials

    def _longest(self, argument: str) -> int | None:
        """How many positions there are; as many as RoBERTa's fewer where the last ones are out of reach."""
        if argument not in ("sequence_length", "decoder_sequence_length"):
            return None
        normalized = InferredOnnxConfig(self._model.config, self._task, self._facts)._normalized_config
        positions = normalized.get("max_position_embeddings")
        if not isinstance(positions, int) or positions < 1:
            return None
        offset = (normalized.get("pad_token_id") or 0) + 1
        if positions <= _LONGEST_TRIED:
            with suppress(Exception):  # whatever the model's own code raises
                self._shapes(**{argument: positions})
                return positions
        return max(1, positions - offset)

    def _named(
        self,
        moved: Mapping[tuple[str, int], list[str]],
        followed: Mapping[tuple[str, int], set[tuple[str, int]]],
        limits: Mapping[str, ShapeLimit],
        seen: Mapping[str, Mapping[tuple[str, int], tuple[int, ...]]],
    ) -> Facts:
        inputs: dict[str, dict[int, str]] = {name: {} for name in self._facts.inputs}
        outputs: dict[str, dict[int, str]] = {name: {} for name in self.outputs}
        names: dict[str, tuple[int, ...]] = {}
        for (name, axis), arguments in sorted(moved.items()):
            if name in inputs:
                sizes = seen[arguments[0]][name, axis]
                inputs[name][axis] = _name_of_its_own(names, _ARGUMENTS[arguments[0]][0], f"{name}_{axis}", sizes)
        for (name, axis), arguments in sorted(moved.items()):
            if name in outputs:
                same = [other for other in sorted(followed[name, axis]) if len(set(arguments)) == 1]
                outputs[name][axis] = inputs[same[0][0]][same[0][1]] if same else f"{name}_{axis}"
        return replace(self._facts, inputs=inputs, outputs=outputs, limits=dict(limits))


def _is_repeated(first: torch.Tensor, again: torch.Tensor | None) -> bool:
    """Whether a second run gave the same but for rounding; a model that draws random numbers gives others."""
    return again is not None and first.shape == again.shape and torch.allclose(first, again, rtol=1e-3, equal_nan=True)


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


def _tensors(outputs: Any, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of a model's outputs by its path, but for losses, caches and what is inside the layers."""
    items = outputs.items() if isinstance(outputs, Mapping) else enumerate(outputs)
    for key, value in items:
        name = f"{prefix}{key}"
        if any(word in str(key) for word in _NEVER_OUTPUTS):
            continue
        if isinstance(value, torch.Tensor):
            yield name, value
        elif isinstance(value, (tuple, list, Mapping)):
            yield from _tensors(value, f"{name}.")
