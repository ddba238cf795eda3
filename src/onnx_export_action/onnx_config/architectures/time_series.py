"""Models of numbers over time: one short class per model type."""

from __future__ import annotations

from collections import OrderedDict

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.dummy_inputs.series import DummyTimeSeriesGenerator, DummyTrajectoryGenerator
from onnx_export_action.onnx_config.outputs import Axes
from onnx_export_action.onnx_config.registry import register_onnx

# The parameters of each distribution that a forecast may be, in transformers' ``time_series_utils``.
PARAMETERS = {"student_t": 3, "normal": 2, "negative_binomial": 2}


@register_onnx("patchtst", "feature-extraction", "time-series-forecasting")
class PatchTSTOnnxConfig(OnnxConfig):
    """PatchTST, which takes series of the one length that it was made for."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyTimeSeriesGenerator,)

    @property
    def inputs(self) -> Axes:
        """What was measured so far."""
        return OrderedDict(past_values={0: "batch_size"})

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
class DecisionTransformerOnnxConfig(OnnxConfig):
    """The Decision Transformer, which sees three things at every step: what is to gain, the state, the action."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyTrajectoryGenerator,)

    @property
    def inputs(self) -> Axes:
        """The steps so far."""
        names = ("states", "actions", "timesteps", "returns_to_go", "attention_mask")
        return OrderedDict((name, {0: "batch_size", 1: "sequence_length"}) for name in names)

    @property
    def outputs(self) -> Axes:
        """What is predicted at every step, and the features of the three things seen at each."""
        names = ("state_preds", "action_preds", "return_preds")
        outputs = OrderedDict((name, {0: "batch_size", 1: "sequence_length"}) for name in names)
        return OrderedDict(outputs, last_hidden_state={0: "batch_size", 1: "3 * sequence_length"})
