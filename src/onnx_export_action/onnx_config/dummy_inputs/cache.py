"""What an encoder and earlier steps left: hidden states and past keys and values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class DummyEncoderOutputGenerator(DummyInputGenerator):
    """What the encoder answered, for a decoder's file: (batch, encoder length, encoder's hidden size), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("encoder_hidden_states",)

    def array(self, input_name: str) -> Array:
        """The encoder's hidden states."""
        hidden_size = int(self.required("encoder_hidden_size"))
        return self.random_float_array(input_name, (self.batch_size, self.shapes.encoder_sequence_length, hidden_size))


class DummyPastKeyValuesGenerator(DummyInputGenerator):
    """Cached keys and values, float32; override :meth:`cache_shape` for a model with a layout of its own."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("past_key_values",)

    def array(self, input_name: str) -> Array:
        """``past_key_values.N.key`` and so on; an array without elements when the past length is 0."""
        return self.random_float_array(input_name, self.cache_shape(input_name))

    def cache_shape(self, input_name: str) -> tuple[int, ...]:
        """(batch, heads of keys and values, length, size of a head), as ``DynamicCache`` of transformers 5 holds it."""
        crosses = ".encoder." in input_name
        length = self.shapes.encoder_sequence_length if crosses else self.shapes.past_sequence_length
        heads = int(self.required("num_key_value_heads"))
        return (self.batch_size, heads, length, int(self.required("head_dim")))


class DummyLatentPastKeyValuesGenerator(DummyPastKeyValuesGenerator):
    """The cache of multi-head latent attention, compressed: latents under ``key``, rotary parts under ``value``."""

    def cache_shape(self, input_name: str) -> tuple[int, ...]:
        """(batch, 1, length, size), as ``DeepseekV3Attention`` of transformers 5.23 fills it."""
        size = self.required("kv_lora_rank" if input_name.endswith(".key") else "qk_rope_head_dim")
        return (self.batch_size, 1, self.shapes.past_sequence_length, int(size))
