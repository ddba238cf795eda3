"""What makes inputs of samples: the tokenizer and processors that lie beside a model, loaded when they are needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from transformers import AutoFeatureExtractor, AutoImageProcessor, AutoTokenizer

from onnx_export_action.loading.offline import offline
from onnx_export_action.project.sentence_modules import config_folder
from onnx_export_action.vocabulary.errors import load_error
from onnx_export_action.vocabulary.jobs import Job


@dataclass(frozen=True)
class Processors:
    """Those of a job's model, set up for ``task``."""

    job: Job
    task: str

    @cached_property
    def tokenizer(self) -> Any:
        """A tokenizer that can pad.

        Raises:
            ExportError: it cannot be loaded, as for the others.
        """
        tokenizer = self._loaded(AutoTokenizer, "a tokenizer")
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        if self.task == "text-generation":  # the next token follows the last one of each row
            tokenizer.padding_side = "left"
        return tokenizer

    @cached_property
    def image_processor(self) -> Any:
        """What turns pictures into pixels."""
        return self._loaded(AutoImageProcessor, "an image processor")

    @cached_property
    def feature_extractor(self) -> Any:
        """What turns sounds into samples or frames."""
        return self._loaded(AutoFeatureExtractor, "a feature extractor")

    def _loaded(self, auto_class: Any, words: str) -> Any:
        load: Callable[..., Any] = auto_class.from_pretrained
        try:
            folder = config_folder(self.job.folder)
            with offline():
                return load(folder, trust_remote_code=self.job.trust_remote_code, local_files_only=True)
        except Exception as error:  # a processor's own code decides what it raises
            text = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
            raise load_error(f"{self.job.folder}: samples need {words}, which could not be loaded: {text}") from error
