"""Models of numbers over time: one short class per model type."""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

from onnx_export_action.onnx_config.dummy_inputs.series import DummyTimeSeriesGenerator, DummyTrajectoryGenerator
from onnx_export_action.onnx_config.modalities import WrittenInterfaceOnnxConfig
from onnx_export_action.onnx_config.outputs import Axes, alike
from onnx_export_action.onnx_config.registry import register_onnx
from onnx_export_action.onnx_config.shapes import AxesMapping

# The parameters of each distribution that a forecast may be, in transformers' ``time_series_utils``.
PARAMETERS = {"student_t": 3, "normal": 2, "negative_binomial": 2}
STEPS = {0: "batch_size", 1: "sequence_length"}


@register_onnx("patchtst", "feature-extraction", "time-series-forecasting")
class PatchTSTOnnxConfig(WrittenInterfaceOnnxConfig):
    """PatchTST, which takes series of the one length that it was made for."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyTimeSeriesGenerator,)
    INPUTS: ClassVar[AxesMapping] = {"past_values": {0: "batch_size"}}

    @property
    def outputs(self) -> Axes:
        """The features, or the forecast: values, or the parameters of their distribution one by one."""
        config = self._normalized_config
        if self.task == "feature-extraction" or config.get("loss") == "mse":
            return super().outputs
        count = PARAMETERS[config.distribution_output]
        return OrderedDict((f"prediction_outputs.{number}", {0: "batch_size"}) for number in range(count))


@register_onnx("patchtsmixer", "feature-extraction", "time-series-forecasting")
class PatchTSMixerOnnxConfig(PatchTSTOnnxConfig):
    """PatchTSMixer."""


@register_onnx("decision_transformer", "feature-extraction", "reinforcement-learning")
class DecisionTransformerOnnxConfig(WrittenInterfaceOnnxConfig):
    """The Decision Transformer, which sees three things at every step: what is to gain, the state, the action."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyTrajectoryGenerator,)
    INPUTS: ClassVar[AxesMapping] = alike(
        "states", "actions", "timesteps", "returns_to_go", "attention_mask", axes=STEPS
    )
    OUTPUTS: ClassVar[AxesMapping] = {
        **alike("state_preds", "action_preds", "return_preds", axes=STEPS),
        "last_hidden_state": {0: "batch_size", 1: "3 * sequence_length"},
    }
