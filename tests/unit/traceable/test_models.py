"""Each file of a single model is named by a configuration class or, for types without one, in the one table."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator

import pytest

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.encoder_decoder import OnnxSeq2SeqConfigWithPast
from onnx_export_action.onnx_config.registry import TasksManager
from onnx_export_action.traceable import models
from onnx_export_action.traceable.models import WITHOUT_CLASS, file_of


def files() -> set[str]:
    prefix = f"{models.__name__}."
    found = pkgutil.walk_packages(models.__path__, prefix)
    return {module.name.removeprefix(prefix) for module in found if not module.ispkg}


def configuration_classes() -> Iterator[type[OnnxConfig]]:
    for model_type in TasksManager.get_supported_model_types():
        for config_class in TasksManager.get_config_classes(model_type):
            yield config_class
            yield from (*config_class.PARTS, *getattr(config_class, "FURTHER_PARTS", ()))


def test_every_file_is_named_and_every_name_is_a_file() -> None:
    named = {config_class.TRACEABLE for config_class in configuration_classes()} - {""}
    assert named | set(WITHOUT_CLASS.values()) == files()


def test_the_table_holds_types_without_a_class_alone() -> None:
    assert not [name for name in WITHOUT_CLASS if any(c.TRACEABLE for c in TasksManager.get_config_classes(name))]


@pytest.mark.parametrize("config_class", sorted(set(configuration_classes()), key=lambda one: one.__name__))
def test_what_a_file_computes_is_a_function_of_the_models_file(config_class: type[OnnxConfig]) -> None:
    calls = {config_class.CALLS}
    if issubclass(config_class, OnnxSeq2SeqConfigWithPast):
        calls.add(config_class.DECODER_CALLS)
    for name in calls - {""}:
        assert callable(getattr(file_of(config_class.TRACEABLE), name))


def test_a_models_file_imports_no_code_of_a_model() -> None:
    """A model of one type must export where another does not exist yet: transformers 5.10 has no RADIO."""
    for name in files():
        modules = [getattr(value, "__module__", "") for value in vars(file_of(name)).values()]
        assert not [module for module in modules if str(module).startswith("transformers.models.")]
