"""Made-up inputs that a model could really meet: seeded, padded as tokenizers pad, with ids to match the masks.

Every generator makes the inputs of one kind. What belongs together agrees without being passed around, because each
array follows from the seed, the shapes and the padding alone: the ids are the padding token exactly where the mask is
zero, and positions count the mask as ``generate`` counts it.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from onnx_export_action.onnx_config.normalized import NormalizedConfig
from onnx_export_action.onnx_config.shapes import DummyShapes
from onnx_export_action.onnx_config.tasks import suggestion
from onnx_export_action.vocabulary.errors import config_error, plan_error
from onnx_export_action.vocabulary.results import Padding

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Mask = NDArray[np.int64]

PADDINGS = (Padding.NONE, Padding.LEFT, Padding.RIGHT, Padding.MIXED)
FRAMEWORKS = ("pt", "np")
_USUAL_FRAMES = 4

# Attributes of a configuration that hold ids with a meaning of their own, which ordinary text does not contain.
SPECIAL_TOKENS = (
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "cls_token_id",
    "sep_token_id",
    "mask_token_id",
    "decoder_start_token_id",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "question_token_id",
    "image_token_id",
)


class DummyInputGenerator:
    """Makes the inputs whose names are in ``SUPPORTED_INPUT_NAMES``; subclasses implement :meth:`array`.

    Shapes reach the constructor by name, as the fields of :class:`DummyShapes`.
    """

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ()

    def __init__(
        self,
        task: str,
        normalized_config: NormalizedConfig,
        *,
        padding: str = "right",
        seed: int = 0,
        input_names: Collection[str] = (),
        **shapes: int,
    ) -> None:
        self.task = task
        self.normalized_config = normalized_config
        self.padding = Padding(padding)
        self.seed = seed
        self.input_names = input_names
        self.shapes = DummyShapes(**shapes)
        self.batch_size = self.shapes.batch_size
        self.sequence_length = self.shapes.sequence_length

    def supports_input(self, input_name: str) -> bool:
        """Whether this generator makes the input; ``past_key_values.0.key`` counts as ``past_key_values``."""
        return input_name.partition(".")[0] in self.SUPPORTED_INPUT_NAMES

    def generate(self, input_name: str, framework: str = "pt") -> Any:
        """One input as a torch tensor (``framework="pt"``) or a numpy array (``"np"``).

        Raises:
            ExportError: the framework is neither.
        """
        array = self.array(input_name)
        if framework == "np":
            return array
        if framework == "pt":
            import torch

            return torch.from_numpy(array)
        raise plan_error(f"unknown framework {framework!r}", hint=suggestion(framework, FRAMEWORKS, "frameworks"))

    def array(self, input_name: str) -> Array:
        """One input as a numpy array: int64, float32 or bool."""
        raise NotImplementedError

    def random(self, stream: str) -> np.random.Generator:
        """Random numbers of one stream: the same in every process and in whatever order inputs are made."""
        import numpy as np

        return np.random.default_rng([self.seed, zlib.crc32(stream.encode())])

    def random_int_array(self, input_name: str, shape: Sequence[int], max_value: int, min_value: int = 0) -> Array:
        """Whole numbers in [min_value, max_value), int64."""
        import numpy as np

        return self.random(input_name).integers(min_value, max_value, shape, dtype=np.int64)

    def random_float_array(self, input_name: str, shape: Sequence[int]) -> Array:
        """Numbers of a standard normal distribution, float32."""
        import numpy as np

        return self.random(input_name).standard_normal(shape, dtype=np.float32)

    def required(self, name: str) -> Any:
        """An attribute of the model's configuration that the inputs cannot be made without.

        Raises:
            ExportError: the configuration does not say.
        """
        value = self.normalized_config.get(name)
        if value is None:
            kind = type(self.normalized_config.config).__name__
            raise config_error(
                f"cannot make dummy inputs: the model's configuration ({kind}) has no {name}",
                hint=f"add {name} to config.json, or name the attribute that holds it: "
                f"NORMALIZED_CONFIG_CLASS = NormalizedTextConfig.with_args({name}='...', allow_new=True)",
            )
        return value

    def padding_mask(
        self, stream: str, rows: int, length: int, *, past: int = 0, shortest: int = 1, side: str | None = None
    ) -> Mask:
        """Which of the ``past + length`` positions of each row are real (1) and which padding (0), int64.

        With ``right`` and ``left`` one row of a batch is full, as tokenizers pad to the longest; a single row is
        padded itself. ``mixed`` pads the rows right and left in turn. At least ``shortest`` of the new positions are
        real in every row. ``side`` is for inputs that are only ever padded on one side.
        """
        import numpy as np

        mask = np.ones((rows, past + length), dtype=np.int64)
        if self.padding is Padding.NONE:
            return mask
        random = self.random(f"{stream} padding")
        for row in range(rows):
            if self.padding is Padding.MIXED:
                _pad_row(mask[row], past, shortest, side or ("left" if row % 2 else "right"), random)
            elif row > 0 or rows == 1:
                _pad_row(mask[row], past, shortest, side or self.padding, random)
        return mask


def _pad_row(row: Mask, past: int, shortest: int, side: str, random: np.random.Generator) -> None:
    """Write zeros at one row's padding. ``row`` has shape (past + new,)."""
    length = len(row)
    new = length - past
    if side == "left":
        row[: _some(length - shortest, random)] = 0
    elif new > shortest:
        row[length - _some(new - shortest, random) :] = 0
    else:
        # A single new token cannot be padding; the prompt before it, in the cache, was padded on its right.
        row[past - _some(past - 1, random) : past] = 0


def _some(room: int, random: np.random.Generator) -> int:
    """How many of the positions that may be padding are: at least one if there is room."""
    return int(random.integers(1, room + 1)) if room > 0 else 0


def require_padding(padding: str) -> None:
    """Refuse a word that is no padding.

    Raises:
        ExportError: it is none; the hint names the nearest.
    """
    if padding not in PADDINGS:
        raise plan_error(f"unknown padding {padding!r}", hint=suggestion(padding, PADDINGS, "paddings"))


def generator_of(name: str, generators: Sequence[DummyInputGenerator], owner: str) -> DummyInputGenerator:
    """The first generator that makes the input ``name`` of the class ``owner``.

    Raises:
        ExportError: none makes it.
    """
    for generator in generators:
        if generator.supports_input(name):
            return generator
    raise plan_error(
        f"{owner} has an input {name!r} that no dummy input generator makes",
        hint="add a DummyInputGenerator with that name in SUPPORTED_INPUT_NAMES to DUMMY_INPUT_GENERATOR_CLASSES",
    )
