"""Real texts, images and sounds as cases: the user's samples, and those that come with the project.

They go through the model's own tokenizer, image processor or feature extractor, as a user's program would send them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer

from onnx_export_action.loading.offline import offline
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.project.sample_files import Sample, read_samples
from onnx_export_action.project.sentence_modules import config_folder
from onnx_export_action.proving.arrays import Arrays
from onnx_export_action.proving.cases.builtin_samples import (
    BuiltinCase,
    audio_cases,
    image_and_text_cases,
    image_cases,
    text_cases,
)
from onnx_export_action.proving.cases.media import image_array, sound_array
from onnx_export_action.proving.cases.processors import Processors
from onnx_export_action.proving.cases.specs import CaseSpec, GivenCase
from onnx_export_action.vocabulary.errors import ExportError, plan_error
from onnx_export_action.vocabulary.jobs import Job
from onnx_export_action.vocabulary.results import Padding

_BATCH_SIZE = 8
_MOST_TOKENS = 512
_SOUND_INPUTS = ("input_values", "input_features")
_CHOICES = "multiple-choice"


class SampleCases:
    """Makes cases of samples for one component of a model; those of a user with the texts that they come from."""

    def __init__(self, onnx_config: OnnxConfig, job: Job) -> None:
        self._onnx_config = onnx_config
        self._job = job
        self._processors = Processors(job, onnx_config.task)
        names = set(onnx_config.inputs)
        self._reads_text = "input_ids" in names
        self._reads_images = "pixel_values" in names
        self._sound_input = next((name for name in _SOUND_INPUTS if name in names), None)

    @property
    def reads_any(self) -> bool:
        """Whether the component reads texts, images or sounds."""
        return self._reads_text or self._reads_images or self._sound_input is not None

    def of_user(self, samples: Sequence[Sample]) -> Iterator[GivenCase]:
        """Batches of at most eight.

        Raises:
            ExportError: a processor cannot be loaded, a sample lacks what the model reads, or cannot be decoded.
        """
        for number in range(0, len(samples), _BATCH_SIZE):
            batch = samples[number : number + _BATCH_SIZE]
            spec = CaseSpec(f"samples {number + 1}-{number + len(batch)}", Padding.SAMPLES, self._job.options.seed)
            yield spec, self.arrays(batch), [sample.text or "" for sample in batch]

    def built_in(self) -> Iterator[GivenCase]:
        """What comes with the project, where the model has the processor for it and that takes it.

        An empty text for which a tokenizer gives no token at all is no case.
        """
        for case in self._fitting():
            try:
                arrays = self.arrays(case.samples)
            except Exception:  # noqa: S112 - a processor's own code decides what it raises, and for what
                continue
            if all(array.size for name, array in arrays.items() if not name.startswith("past_key_values.")):
                yield CaseSpec(case.id, Padding.SAMPLES, self._job.options.seed, is_extra=True), arrays, []

    def _fitting(self) -> Iterator[BuiltinCase]:
        try:
            if self._reads_text and not self._reads_images and self._sound_input is None:
                yield from text_cases(self._onnx_config.task, self._processors.tokenizer.all_special_tokens)
            elif self._reads_images and self._reads_text and "decoder_input_ids" not in self._onnx_config.inputs:
                yield from image_and_text_cases()
            elif self._reads_images:
                yield from image_cases()
            elif self._sound_input is not None:
                yield from audio_cases()
        except ExportError:  # no tokenizer beside the model
            return

    def arrays(self, batch: Sequence[Sample]) -> Arrays:
        """Inputs for a batch of samples; those that no processor makes are as in the grid.

        Raises:
            ExportError: as :meth:`of_user`.
        """
        encoded: Arrays = {}
        if self._reads_text:
            encoded |= self._encoded_texts(batch)
        if self._reads_images:
            encoded |= self._encoded_images(batch)
        if self._sound_input is not None:
            encoded |= self._encoded_sounds(batch)
        arrays = self._with_the_rest(encoded, len(batch))
        self._require_fitting(arrays, batch[0].origin)
        return arrays

    def _encoded_texts(self, batch: Sequence[Sample]) -> Arrays:
        texts = [_required(sample, "text") for sample in batch]
        pairs = [sample.text_pair or "" for sample in batch]
        longest = min(
            self._processors.tokenizer.model_max_length, self._onnx_config.max_sequence_length or _MOST_TOKENS
        )
        encoded = self._processors.tokenizer(
            texts,
            pairs if any(sample.text_pair is not None for sample in batch) else None,
            padding=True,
            truncation=True,
            max_length=int(min(longest, _MOST_TOKENS)),
            return_tensors="np",
        )
        arrays = {name: np.asarray(array) for name, array in encoded.items()}
        if self._onnx_config.task == _CHOICES:  # the batch is one question with as many choices
            arrays = {name: array[None] for name, array in arrays.items()}
        return arrays

    def _encoded_images(self, batch: Sequence[Sample]) -> Arrays:
        images = [image_array(_required(sample, "image"), sample.origin) for sample in batch]
        return {
            name: np.asarray(array)
            for name, array in self._processors.image_processor(images, return_tensors="np").items()
        }

    def _encoded_sounds(self, batch: Sequence[Sample]) -> Arrays:
        rate = int(self._processors.feature_extractor.sampling_rate)
        sounds = [sound_array(_required(sample, "audio"), rate, sample.origin) for sample in batch]
        # Whisper pads to thirty seconds of its own accord, and the others only when they are asked to.
        padding: dict[str, Any] = {"padding": True} if self._sound_input == "input_values" else {}
        encoded = self._processors.feature_extractor(sounds, sampling_rate=rate, return_tensors="np", **padding)
        return {name: np.asarray(array) for name, array in encoded.items()}

    def _with_the_rest(self, encoded: Arrays, batch_size: int) -> Arrays:
        sizes = {"batch_size": batch_size, "past_sequence_length": 0}
        if self._onnx_config.task == _CHOICES:
            sizes |= {"batch_size": 1, "num_choices": batch_size}
        if "input_ids" in encoded:
            sizes["sequence_length"] = encoded["input_ids"].shape[-1]
        axes = self._onnx_config.inputs
        for name, axis, argument in (
            ("pixel_values", 2, "image_height"),
            ("pixel_values", 3, "image_width"),
            ("input_values", 1, "audio_sequence_length"),
            ("input_features", 2, "nb_max_frames"),
        ):
            if name in encoded and axis in axes.get(name, {}):
                sizes[argument] = encoded[name].shape[axis]
        arrays: Arrays = self._onnx_config.generate_dummy_inputs("np", padding="none", **sizes)
        for name in arrays:
            if name in encoded:
                arrays[name] = encoded[name].astype(arrays[name].dtype)
        if "token_type_ids" in arrays and "token_type_ids" not in encoded:
            arrays["token_type_ids"] = np.zeros_like(arrays["token_type_ids"])
        if "position_ids" in arrays and arrays["position_ids"].ndim == 2 and "attention_mask" in encoded:  # noqa: PLR2004
            positions = np.cumsum(encoded["attention_mask"], axis=1) - 1
            arrays["position_ids"] = np.clip(positions, 0, None).astype(np.int64)
        return arrays

    def _require_fitting(self, arrays: Arrays, origin: str) -> None:
        """Processors may be set up for other sizes than the model's files take."""
        usual = self._onnx_config.generate_dummy_inputs("np", padding="none")
        sizes: dict[str, int] = {}
        for name, array in arrays.items():
            axes = self._onnx_config.inputs[name]
            fits = array.ndim == usual[name].ndim and all(
                size == usual[name].shape[axis] if axis not in axes else sizes.setdefault(axes[axis], size) == size
                for axis, size in enumerate(array.shape)
            )
            if not fits:
                raise plan_error(
                    f"{origin}: the model's processor makes {name} of shape {array.shape}, which does not fit the "
                    f"other inputs or the file ({', '.join(map(str, usual[name].shape))}, of which axes "
                    f"{', '.join(map(str, sorted(axes)))} vary)"
                )


def _required(sample: Sample, kind: str) -> Any:
    found = getattr(sample, kind)
    if found is None:
        raise plan_error(f"{sample.origin}: the model reads {kind}, and the sample has none")
    return found


def sample_cases(onnx_config: OnnxConfig, job: Job) -> tuple[Iterator[GivenCase], list[str]]:
    """The cases of one component: the built-in ones, then the user's; and notes on what was left out.

    Raises:
        ExportError: the user's samples cannot be read.
    """
    maker = SampleCases(onnx_config, job)
    notes = []
    used: list[Sample] = []
    if job.options.samples is not None:
        samples = read_samples(job.options.samples)
        used = samples.used
        if not maker.reads_any:
            used = []
            notes.append("the samples were not used: the model reads neither text, images nor sound")
        elif samples.total > len(used):
            notes.append(f"of {samples.total} samples the first {len(used)} were used")
    return _chained(maker, used), notes


def _chained(maker: SampleCases, used: Sequence[Sample]) -> Iterator[GivenCase]:
    yield from maker.built_in()
    if used:
        yield from maker.of_user(used)


def vocabulary(folder: Path) -> list[str]:
    """The tokens of the model's tokenizer by id, empty where there is none or its ids have gaps."""
    try:
        with offline():
            tokenizer = AutoTokenizer.from_pretrained(config_folder(folder), local_files_only=True)
        ids = {int(number): str(piece) for piece, number in tokenizer.get_vocab().items()}
    except Exception:  # a tokenizer's own code decides what it raises; without one tokens stand for words
        return []
    return [ids.get(number, "") for number in range(max(ids, default=-1) + 1)] if ids else []
