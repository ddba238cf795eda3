"""Time series and trajectories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class DummyTimeSeriesGenerator(DummyInputGenerator):
    """What was measured so far: ``past_values`` (batch, times, channels), float32, of the model's one length."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("past_values",)

    def array(self, input_name: str) -> Array:
        """The values."""
        size = (int(self.required("context_length")), int(self.required("num_input_channels")))
        return self.random_float_array(input_name, (self.batch_size, *size))


class DummyTrajectoryGenerator(DummyInputGenerator):
    """What was seen, done and still to gain at each step: (batch, steps, size), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("states", "actions", "timesteps", "returns_to_go", "attention_mask")

    def array(self, input_name: str) -> Array:
        """Numbers that are zero where the mask is; ``timesteps`` and the mask are int64, (batch, steps)."""
        mask = self.padding_mask("steps", self.batch_size, self.sequence_length)
        if input_name == "attention_mask":
            return mask
        if input_name == "timesteps":
            return self.random_int_array(input_name, mask.shape, int(self.required("max_ep_len"))) * mask
        sizes = {"states": "state_dim", "actions": "act_dim"}
        size = int(self.required(sizes[input_name])) if input_name in sizes else 1
        array: Array = self.random_float_array(input_name, (*mask.shape, size)) * mask[..., None].astype("float32")
        return array
