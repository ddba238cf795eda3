"""The legacy interface of ``transformers.onnx.features``: the same register under the feature names of that time."""

from __future__ import annotations

from onnx_export_action.onnx_config.registry import OnnxConfigConstructor, TasksManager
from onnx_export_action.onnx_config.tasks import legacy_feature


class FeaturesManager:
    """Which features a model type exports with."""

    @staticmethod
    def get_supported_features_for_model_type(model_type: str) -> dict[str, OnnxConfigConstructor]:
        """Legacy feature name (``default``, ``causal-lm-with-past`` ...) -> constructor of its configuration.

        Raises:
            ExportError: the model type is not registered.
        """
        tasks = TasksManager.get_supported_tasks_for_model_type(model_type)
        return {legacy_feature(task): constructor for task, constructor in tasks.items()}
