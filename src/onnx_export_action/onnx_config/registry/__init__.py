"""The register of configuration classes: which model type exports for which tasks, and with which class."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, TypeVar

from onnx_export_action.onnx_config import architectures
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.encoder_decoder import OnnxSeq2SeqConfigWithPast
from onnx_export_action.onnx_config.registry.architecture_tasks import (
    architectures_of,
    task_of_checkpoint,
    tasks_of_architecture,
)
from onnx_export_action.onnx_config.registry.auto_classes import model_class_for_task
from onnx_export_action.onnx_config.registry.model_types import require_present, transformers_model_types
from onnx_export_action.onnx_config.tasks import (
    AUTO_CLASSES,
    map_from_synonym,
    parse_task,
    suggestion,
    task_name,
)
from onnx_export_action.vocabulary.errors import ExportError, config_error, plan_error
from onnx_export_action.vocabulary.names.components import ComponentKind

OnnxConfigConstructor = Callable[..., OnnxConfig]
ConfigClass = TypeVar("ConfigClass", bound=type[OnnxConfig])

# The modules whose classes register themselves; loaded when the register is first asked.
CLASS_MODULES = tuple(f"{architectures.__name__}.{one.name}" for one in pkgutil.iter_modules(architectures.__path__))


def supported_tasks_mapping(
    *tasks: str, **classes: type[OnnxConfig] | str
) -> dict[str, dict[str, OnnxConfigConstructor]]:
    """What one model type supports: exporter -> task -> constructor.

    ``supported_tasks_mapping("default", "fill-mask", onnx="BertOnnxConfig")``: the class, or its name in
    ``onnx_export_action.onnx_config``. Legacy task names are accepted.

    Raises:
        ExportError: there is no such task.
    """
    names = [task_name(*parse_task(task)) for task in tasks]
    return {
        exporter: {name: _constructor(config_class, name) for name in names}
        for exporter, config_class in classes.items()
    }


def _constructor(config_class: type[OnnxConfig] | str, task: str) -> OnnxConfigConstructor:
    if isinstance(config_class, str):
        return functools.partial(_construct_by_name, config_class, task=task)
    return functools.partial(config_class, task=task)


def _construct_by_name(class_name: str, config: Any, **arguments: Any) -> OnnxConfig:
    return config_class_by_name(class_name)(config, **arguments)


def config_class_by_name(class_name: str) -> type[OnnxConfig]:
    """The configuration class of that name in ``onnx_export_action.onnx_config``.

    Raises:
        ExportError: there is none.
    """
    from onnx_export_action import onnx_config

    found = getattr(onnx_config, class_name, None)
    if isinstance(found, type) and issubclass(found, OnnxConfig):
        return found
    known = [name for name in dir(onnx_config) if name.endswith("OnnxConfig")]
    raise plan_error(
        f"there is no configuration class {class_name!r}", suggestion(class_name, known, "configuration classes")
    )


def _class_of(constructor: OnnxConfigConstructor | None) -> type[OnnxConfig] | None:
    """The class behind a constructor as `supported_tasks_mapping` makes it, None where another made it."""
    if not isinstance(constructor, functools.partial):
        return None
    found = config_class_by_name(constructor.args[0]) if constructor.args else constructor.func
    return found if isinstance(found, type) and issubclass(found, OnnxConfig) else None


Register = dict[str, dict[str, dict[str, OnnxConfigConstructor]]]

# What the modules above have registered so far.
_REGISTERED: Register = {}


class _LoadedWhenAsked(type):
    """Gives a class its register when somebody first asks for it."""

    def __getattr__(cls, name: str) -> Register:
        if name != "_SUPPORTED_MODEL_TYPE":
            raise AttributeError(name)
        for module in CLASS_MODULES:
            importlib.import_module(module)
        cls._SUPPORTED_MODEL_TYPE = _REGISTERED
        return _REGISTERED


class Registered(metaclass=_LoadedWhenAsked):
    """Which model types are registered, for which tasks, and what their files are called."""

    # Model type -> exporter -> task -> constructor, as `supported_tasks_mapping` makes it.
    _SUPPORTED_MODEL_TYPE: ClassVar[Register]

    @classmethod
    def create_register(
        cls, exporter: str, overwrite_existing: bool = False
    ) -> Callable[..., Callable[[ConfigClass], ConfigClass]]:
        """A decorator factory: ``create_register("onnx")("my-type", "feature-extraction")`` registers a class.

        Without ``overwrite_existing`` registering a task twice raises ExportError.
        """

        def registering(model_type: str, *tasks: str) -> Callable[[ConfigClass], ConfigClass]:
            def decorate(config_class: ConfigClass) -> ConfigClass:
                is_our_own = config_class.__module__ in CLASS_MODULES
                register = _REGISTERED if is_our_own else cls._SUPPORTED_MODEL_TYPE
                registered = register.setdefault(model_type, {}).setdefault(exporter, {})
                constructors = supported_tasks_mapping(*tasks, **{exporter: config_class})[exporter]
                taken = [task for task in constructors if task in registered]
                if taken and not overwrite_existing:
                    raise plan_error(
                        f"model type {model_type!r} is registered for {taken[0]!r} already",
                        f"pass overwrite_existing=True to create_register({exporter!r}, ...) to replace it",
                    )
                registered.update(constructors)
                return config_class

            return decorate

        return registering

    @classmethod
    def get_supported_model_types(cls, exporter: str = "onnx") -> list[str]:
        """All registered model types, sorted."""
        return sorted(name for name, exporters in cls._SUPPORTED_MODEL_TYPE.items() if exporter in exporters)

    @classmethod
    def get_supported_tasks_for_model_type(
        cls, model_type: str, exporter: str = "onnx"
    ) -> dict[str, OnnxConfigConstructor]:
        """Task -> constructor of its configuration, in the order of registration.

        Raises:
            ExportError: the model type is not registered.
        """
        exporters = cls._SUPPORTED_MODEL_TYPE.get(model_type, {})
        if exporter not in exporters:
            raise cls._unregistered(model_type, exporter)
        return dict(exporters[exporter])

    @classmethod
    def _unregistered(cls, model_type: str, exporter: str) -> ExportError:
        require_present(model_type)
        message = f"model type {model_type!r} has no configuration class for the {exporter} export"
        if model_type in transformers_model_types():
            return plan_error(
                message,
                "`onnx-export export MODEL OUTPUT --task TASK` infers one from the model itself: "
                "any task that transformers has a class for",
            )
        return plan_error(message, suggestion(str(model_type), cls.get_supported_model_types(exporter), "model types"))

    @classmethod
    def component_names(cls, model_type: str, task: str) -> tuple[str, ...] | None:
        """The names of all files, without ending, that a model of a type may become for a task.

        A type or task without a configuration class has those of an encoder-decoder, or one. None where the type is
        registered with a function, which may make any.
        """
        constructor = cls._SUPPORTED_MODEL_TYPE.get(model_type, {}).get("onnx", {}).get(task)
        if constructor is None:
            return tuple(dict.fromkeys((ComponentKind.MODEL.value, *OnnxSeq2SeqConfigWithPast.component_names(task))))
        config_class = _class_of(constructor)
        return None if config_class is None else config_class.component_names(task)


class TasksManager(Registered):
    """Which model types export, for which tasks, with which configuration class and auto class."""

    @classmethod
    def get_config_classes(cls, model_type: str, exporter: str = "onnx") -> set[type[OnnxConfig]]:
        """The classes that a model type is registered with, none where it is not."""
        constructors = cls._SUPPORTED_MODEL_TYPE.get(model_type, {}).get(exporter, {})
        classes = (_class_of(constructor) for constructor in constructors.values())
        return {one for one in classes if one is not None}

    @classmethod
    def inner_models(cls) -> list[str]:
        """The folders that some class names in ``INNER_MODELS``, sorted."""
        classes = (one for model_type in cls._SUPPORTED_MODEL_TYPE for one in cls.get_config_classes(model_type))
        return sorted({folder for one in classes for folder in one.INNER_MODELS})

    @classmethod
    def get_exporter_config_constructor(
        cls,
        exporter: str = "onnx",
        model: Any = None,
        task: str | None = None,
        model_type: str | None = None,
        exporter_config_kwargs: Mapping[str, Any] | None = None,
    ) -> OnnxConfigConstructor:
        """A constructor to call with the model's configuration.

        ``model`` gives the model type and, from its class, the task, without past; for a model type alone the task
        is feature extraction, or the type's first task where it has none.

        Raises:
            ExportError: the model type is not registered, or not for this task.
        """
        model_type = model_type or getattr(getattr(model, "config", None), "model_type", None)
        if model_type is None:
            raise plan_error("neither a model with a configuration nor a model_type is given")
        constructors = cls.get_supported_tasks_for_model_type(model_type, exporter)
        task = map_from_synonym(task) if task else cls._default_task(model, constructors)
        if task not in constructors:
            parse_task(task)
            hint = suggestion(task, constructors, f"tasks of {model_type}")
            raise plan_error(f"model type {model_type!r} has no task {task!r}", hint)
        return functools.partial(constructors[task], **(exporter_config_kwargs or {}))

    @classmethod
    def get_auto_class_name(cls, task: str, model_type: str | None = None) -> str:
        """Name of the auto class of transformers that loads the task, without importing transformers.

        Raises:
            ExportError: there is no such task.
        """
        stem, _ = parse_task(task)
        names = AUTO_CLASSES[stem]
        if stem == "automatic-speech-recognition" and model_type in cls._SUPPORTED_MODEL_TYPE:
            return names[0] if cls._is_encoder_decoder(model_type, stem) else names[1]
        return names[0]

    @classmethod
    def get_model_class_for_task(cls, task: str, framework: str = "pt", model_type: str | None = None) -> Any:
        """The auto class of transformers that loads the task; imports transformers.

        Where several classes load a task, the one that knows the model type.

        Raises:
            ExportError: there is no such task, or no class of transformers loads it for this model type.
        """
        if framework != "pt":
            raise plan_error(
                f"no models of framework {framework!r}", "transformers 5 has PyTorch models only: use 'pt'"
            )
        return model_class_for_task(task, model_type)

    @classmethod
    def infer_task_from_config(cls, config: Mapping[str, Any]) -> str:
        """The task of a checkpoint, from ``model_type`` and ``architectures`` of its config.json.

        A model that generates gets its task with past, if its model type is registered for it.

        Raises:
            ExportError: transformers 5 has no such model type, or the architecture does not tell.
        """
        model_type = config.get("model_type")
        if not isinstance(model_type, str):
            raise config_error("config.json names no model_type", "add it, or name the task")
        is_inferred = cls.is_inferred(model_type, config)
        tasks: Collection[str] = AUTO_CLASSES if is_inferred else cls.get_supported_tasks_for_model_type(model_type)
        task = task_of_checkpoint(config, tasks)
        if task is not None:
            return task
        names = architectures_of(config)
        said = (
            f"architectures {names} of config.json do not tell the task"
            if names
            else "config.json names no architectures"
        )
        hint = f"name the task; model type {model_type!r} has: {', '.join(tasks)}"
        raise config_error(said, hint, keys=["architectures"])

    @classmethod
    def is_inferred(cls, model_type: str, config: Mapping[str, Any]) -> bool:
        """Whether a checkpoint has no configuration class, but code that one can be inferred from.

        That is transformers' own, or the repository's (``auto_map`` of config.json), which runs only when allowed.
        """
        if model_type in cls.get_supported_model_types():
            return False
        return model_type in transformers_model_types() or bool(config.get("auto_map"))

    @classmethod
    def _default_task(cls, model: Any, constructors: Mapping[str, OnnxConfigConstructor]) -> str:
        candidates = [*tasks_of_architecture(type(model).__name__), "feature-extraction", *constructors]
        return next(task for task in candidates if task in constructors)

    @classmethod
    def _is_encoder_decoder(cls, model_type: str, task: str) -> bool:
        constructor = cls._SUPPORTED_MODEL_TYPE[model_type].get("onnx", {}).get(task)
        config_class = _class_of(constructor)
        return config_class is not None and issubclass(config_class, OnnxSeq2SeqConfigWithPast)

    map_from_synonym = staticmethod(map_from_synonym)


def config_of_part(config: Any) -> OnnxConfig | None:
    """How a model inside another exports its features, None where its model type is not registered for them."""
    if config.model_type not in TasksManager.get_supported_model_types():
        return None
    constructor = TasksManager.get_supported_tasks_for_model_type(config.model_type).get("feature-extraction")
    return None if constructor is None else constructor(config)


register_onnx = TasksManager.create_register("onnx")
