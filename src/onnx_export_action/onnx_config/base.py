"""The base class: what any export needs to know of a model, whatever it reads.

A configuration class says which inputs a file has, which outputs, which of their axes may vary, and makes inputs to
trace and to test with. Three classes divide the work: :class:`OnnxConfig` for models called once, ``with_past`` for
decoders with a cache, ``encoder_decoder`` for encoder-decoders, which become several files. The names of classes,
inputs, outputs and axes are those of optimum-onnx and transformers.onnx.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from onnx_export_action.onnx_config.model_inputs import ModelInputs
from onnx_export_action.onnx_config.normalized import NormalizedConfig
from onnx_export_action.onnx_config.outputs import TASK_OUTPUTS, Axes, axes_in_use
from onnx_export_action.onnx_config.tasks import Modality, parse_task
from onnx_export_action.vocabulary.errors import plan_error
from onnx_export_action.vocabulary.names.components import ComponentKind
from onnx_export_action.vocabulary.supported.opsets import DEFAULT_OPSET


@dataclass(frozen=True)
class PatchingSpec:
    """A function that the export replaces: ``o.name`` becomes ``custom_op`` while the model is traced.

    ``orig_op`` is put back afterwards (the attribute's value by default); ``op_wrapper`` wraps either one, as
    ``staticmethod`` would.
    """

    o: Any
    name: str
    custom_op: Callable[..., Any]
    orig_op: Callable[..., Any] | None = None
    op_wrapper: Callable[..., Any] | None = None


class OnnxConfig(ModelInputs):
    """How one model type is exported for one task; subclasses say at least which ``inputs`` it takes.

    Args:
        config: the model's configuration, or any object with its attributes.
        task: the Hub's name of the task, or its legacy feature name (``default``, ``sequence-classification`` ...).
        patching_specs: functions to replace while the export traces the model.

    Raises:
        ExportError: there is no such task, or it asks for a past that this model does not keep.
    """

    # Absolute, for all outputs or by output name.
    ATOL_FOR_VALIDATION: ClassVar[float | dict[str, float]] = 1e-4
    DEFAULT_ONNX_OPSET: ClassVar[int] = DEFAULT_OPSET
    # Whether the model has a cache, so that its tasks may end in `-with-past`.
    KEEPS_PAST: ClassVar[bool] = False
    # Whether the outputs are those of queries (axis 1) that the model chose among candidates by ``torch.topk``.
    CHOOSES_QUERIES: ClassVar[bool] = False
    # Attribute of the model's output -> the ONNX output's name, where they differ.
    torch_to_onnx_output_map: ClassVar[dict[str, str]] = {}

    # One configuration class per file, where the parts of the model are files of their own.
    PARTS: ClassVar[tuple[type[OnnxConfig], ...]] = ()
    # The name of such a part's file.
    FILE_NAME: ClassVar[str] = ""
    # What is special about tracing this model: a file of `traceable.models`, such as "audio.speecht5".
    TRACEABLE: ClassVar[str] = ""
    # The function of that file that the ONNX file computes, where that is not the model's `forward`.
    CALLS: ClassVar[str] = ""
    # Models in folders inside the model's own, which its files are made of as well: folder -> class of transformers.
    INNER_MODELS: ClassVar[dict[str, str]] = {}
    # Outputs that are the same for every input: they belong to the model.
    CONSTANT_OUTPUTS: ClassVar[frozenset[str]] = frozenset()
    # What the model is given in a form of its own, and not under the names of `tasks.Modality`.
    OTHER_FORMS: ClassVar[frozenset[Modality]] = frozenset()

    kind = ComponentKind.MODEL
    use_past = False

    def __init__(
        self, config: Any, task: str = "feature-extraction", patching_specs: Sequence[PatchingSpec] | None = None
    ) -> None:
        self.task, with_past = parse_task(task)
        if with_past and not self.KEEPS_PAST:
            raise plan_error(
                f"{type(self).__name__} has no task {task!r}: the model keeps no past", f"use {self.task!r}"
            )
        self.patching_specs = list(patching_specs or ())
        self._config = config
        self._normalized_config = type(self).NORMALIZED_CONFIG_CLASS(config)

    @property
    def outputs(self) -> Axes:
        """Output name -> axis -> name. An axis that follows an input's axis carries the name it has there.

        Raises:
            ExportError: the outputs of the task are not known; the class must say them.
        """
        if self.task not in TASK_OUTPUTS:
            raise plan_error(f"{type(self).__name__} does not say the outputs of {self.task!r}", "override `outputs`")
        return OrderedDict((name, self._axes_in_use(axes)) for name, axes in TASK_OUTPUTS[self.task].items())

    @property
    def default_onnx_opset(self) -> int:
        """The operator set to export with."""
        return self.DEFAULT_ONNX_OPSET

    @property
    def atol_for_validation(self) -> float | dict[str, float]:
        """The absolute tolerance, for all outputs or by output name."""
        return self.ATOL_FOR_VALIDATION

    @property
    def extra_forward_arguments(self) -> dict[str, object]:
        """Constant keyword arguments of the model's call."""
        return {}

    @property
    def part_function(self) -> str:
        """The function of ``TRACEABLE`` that this file computes; none if it is the model's own call."""
        return self.CALLS

    @property
    def optional_inputs(self) -> dict[str, float]:
        """Inputs, float32 numbers, that a caller may leave out, with the value that they have then.

        What a model draws at random is switched by one of them: at the value that dummy inputs give it, nothing is left
        to chance.
        """
        return {}

    @classmethod
    def component_names(cls, task: str) -> tuple[str, ...]:  # noqa: ARG003 - subclasses need it
        """The names of all files that such a model may become for a task, whatever its own configuration."""
        return tuple(part.FILE_NAME for part in cls.PARTS) or (ComponentKind.MODEL.value,)

    @classmethod
    def belongs_to(cls, normalized_config: NormalizedConfig) -> bool:  # noqa: ARG003 - subclasses need it
        """Whether a model of that configuration has this part, if the class is one of `PARTS` or `FURTHER_PARTS`."""
        return True

    def components(self) -> list[tuple[str, OnnxConfig]]:
        """The files that the model becomes, each with its configuration, in the order of export."""
        if self.PARTS:
            return [(part.FILE_NAME, part(self._config, task=self.task)) for part in self.PARTS]
        return [(self.kind.value, self)]

    def _axes_in_use(self, axes: Mapping[int, str]) -> dict[int, str]:
        return axes_in_use(axes, self.inputs)
