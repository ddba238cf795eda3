"""The JSON Schema of ``onnx-export.yaml``: for editors, and the first half of reading the file.

``patternErrorMessage`` is a keyword of VS Code's JSON and YAML services: what a text must look like, in words.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.manifest import END_OF_TEXT
from onnx_export_action.vocabulary.names.external_data import SHARD_BYTES
from onnx_export_action.vocabulary.names.file_names import SETTINGS_NAME
from onnx_export_action.vocabulary.results import FailOn
from onnx_export_action.vocabulary.supported.engines import ENGINES_OF_ONNX, Engine
from onnx_export_action.vocabulary.supported.opsets import MAX_OPSET, MIN_OPSET
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT, VARIANTS

Schema: TypeAlias = dict[str, Any]

FAIL_ON = tuple(word.value for word in FailOn)

OWN_KEYS = ("name", "model")  # the keys that each target gives itself
OF_VARIANTS = ("high_precision", "tolerance")  # the keys that say something of a variant

MAX_TARGETS = 1000
MAX_AXIS_SIZE = 8192
MAX_AUDIO_SAMPLES = 480_000  # 30 s at 16 kHz
MAX_POINTS = 16
MAX_TENSORS = 1000

_PATH_PATTERN = r"[^\\/~:\x00-\x1f\x7f][^\\:\x00-\x1f\x7f]{0,499}" + END_OF_TEXT
_PATH_WORDS = "a relative path with '/' between its parts"
_NOT_JSON = r"(?!.*\.[jJ][sS][oO][nN]/*$)"  # <output>.result.json stands beside each output folder


def task_words() -> list[str]:
    """Every word that ``task`` accepts: auto, the Hub's task names, their legacy synonyms, each with its past."""
    from onnx_export_action.onnx_config.tasks import AUTO_CLASSES, PAST_SUFFIX, TASK_SYNONYMS

    names = [*sorted(AUTO_CLASSES), *sorted(TASK_SYNONYMS)]
    return ["auto", *names, *(name + PAST_SUFFIX for name in names)]


def settings_schema() -> Schema:
    """JSON Schema (draft 7, which editors know best) of ``onnx-export.yaml``."""
    keys = _target_keys()
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": SETTINGS_NAME,
        "description": "Which models are exported to ONNX, how, and how closely they must equal PyTorch.",
        "type": "object",
        "required": ["version", "targets"],
        "additionalProperties": False,
        "properties": {
            "version": {"description": "Version of this format.", "const": 1},
            "defaults": {
                "description": "Keys for every target that does not give its own; a target's value replaces it whole.",
                "type": "object",
                "additionalProperties": False,
                "properties": {key: schema for key, schema in keys.items() if key not in OWN_KEYS},
            },
            "hooks": {
                "description": "What the pre-commit hooks leave out.",
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "ignore": {
                        "description": "Rule name -> patterns of the paths whose findings are left out.",
                        "type": "object",
                        "propertyNames": {
                            "pattern": "^[a-z0-9-]{1,100}" + END_OF_TEXT,
                            "patternErrorMessage": "the name of a rule, such as pickle-weights",
                        },
                        "additionalProperties": {
                            "type": "array",
                            "minItems": 1,
                            "items": {
                                "type": "string",
                                "pattern": r"^[^\x00-\x1f\x7f]{1,500}" + END_OF_TEXT,
                                "patternErrorMessage": "a path pattern, such as 'models/old/*'",
                            },
                        },
                    },
                },
            },
            "targets": {
                "description": "The models to export.",
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_TARGETS,
                "items": {
                    "type": "object",
                    "required": list(OWN_KEYS),
                    "additionalProperties": False,
                    "properties": keys,
                },
            },
        },
    }


CLASS_PATTERN = r"^([^\\/~:\x00-\x1f\x7f][^\\:\x00-\x1f\x7f]{0,499}\.py):([A-Za-z_][A-Za-z0-9_]{0,99})" + END_OF_TEXT

_REVISION_PATTERN = r"^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]{0,254}" + END_OF_TEXT
_REVISION_WORDS = "a commit, tag or branch: letters, digits, '.', '_', '/' or '-', without '..'"


def _target_keys() -> dict[str, Schema]:
    from onnx_export_action.onnx_config.shapes import DEFAULT_DUMMY_SHAPES

    return {
        "name": {
            "description": "Name of the target, unique in the file; also the artifact folder's name.",
            "type": "string",
            "pattern": "^" + _NOT_JSON + r"(?![.-])(?!.*\.\.)[A-Za-z0-9._-]{1,100}" + END_OF_TEXT,
            "patternErrorMessage": "1 to 100 letters, digits, '.', '_' or '-', not starting with '.' or '-', "
            "without '..', not ending in '.json'",
        },
        "model": {
            "description": "A folder inside the repository (./models/sentiment), or a Hub id (org/name).",
            "type": "string",
            "pattern": r"^[^\x00-\x1f\x7f]{1,500}" + END_OF_TEXT,
            "patternErrorMessage": "a folder inside the repository (./models/sentiment) or a Hub id (org/name)",
        },
        "revision": {
            "description": "Commit, tag or branch of a Hub id. A commit makes the export reproducible.",
            "type": "string",
            "pattern": _REVISION_PATTERN,
            "patternErrorMessage": _REVISION_WORDS,
        },
        "weights": {
            "description": "load: the model's own weights. random: seeded weights built from config.json.",
            "enum": [word.value for word in Weights],
            "default": "load",
        },
        "task": {
            "description": "What the model does, or auto to take it from config.json.",
            "enum": task_words(),
            "default": "auto",
        },
        "opset": {
            "description": "Version of the ONNX operators.",
            "type": "integer",
            "minimum": MIN_OPSET,
            "maximum": MAX_OPSET,
        },
        "engine": {
            "description": "What writes the file. auto: the tracer, then torch-export where that fails.",
            "enum": [str(engine) for engine in ENGINES_OF_ONNX],
            "default": str(Engine.AUTO),
        },
        "variants": {
            "description": "Precisions and graph optimisation levels to make. fp32 is always made: the others are made "
            "from it.",
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"enum": list(VARIANTS)},
            "default": [REFERENCE_VARIANT],
        },
        "shard_bytes": {
            "description": "The largest file: beyond, weights lie in pieces beside the ONNX file. Browsers hold no "
            "buffer of 2 GiB.",
            "type": "integer",
            "minimum": 1,
            "maximum": SHARD_BYTES,
            "default": SHARD_BYTES,
        },
        "high_precision": {
            "description": "What a variant leaves in float32: auto, or a list of operators and patterns of node names.",
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {name: _kept_nodes() for name, variant in VARIANTS.items() if not variant.float32},
        },
        "shapes": {
            "description": "Further sizes to validate: a shape argument, and one size or a list of them.",
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {argument: _sizes(argument) for argument in sorted(DEFAULT_DUMMY_SHAPES)},
        },
        "inputs": _tensors(
            "The inputs of the file and their axes, instead of what the task implies: a name where an axis varies, "
            "a number where it has one size."
        ),
        "outputs": _tensors("The outputs of the file, instead of what the task implies; axes that vary may be named."),
        "onnx_config": {
            "description": "A class of the repository that says how the model is exported, as path/to/file.py:Class. "
            "Its code runs only when the operator allows it.",
            "type": "string",
            "pattern": CLASS_PATTERN,
            "patternErrorMessage": "a relative path and the name of a class in it: path/to/file.py:Class",
        },
        "samples": {
            "description": "Real inputs: a .jsonl, .txt or .csv file, or a folder, inside the repository.",
            "type": "string",
            "pattern": "^" + _PATH_PATTERN,
            "patternErrorMessage": _PATH_WORDS,
        },
        "tolerance": {
            "description": "Allowed error by variant and output name; calibrated where absent.",
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {variant: _output_tolerances() for variant in VARIANTS},
        },
        "latency": {
            "description": "true measures how long a call takes beside PyTorch; a bound makes a slower file fail.",
            "type": ["boolean", "object"],
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {
                "max_ms": {
                    "description": "Milliseconds that a call may take.",
                    "type": "number",
                    "exclusiveMinimum": 0,
                },
                "max_ratio": {
                    "description": "Time that a call may take, relative to PyTorch's.",
                    "type": "number",
                    "exclusiveMinimum": 0,
                },
            },
            "default": False,
        },
        "fail_on": {
            "description": "What fails the run: export (one did not run), validation (also a wrong file), regression "
            "(also a file that is worse than its base), never.",
            "enum": list(FAIL_ON),
            "default": "validation",
        },
        "publish": {
            "description": "Where `onnx-export publish` and a release put the proven files on the Hugging Face Hub.",
            "type": "object",
            "required": ["repo"],
            "additionalProperties": False,
            "properties": {
                "repo": {
                    "description": "The repository on the Hub (org/name); made where it is missing.",
                    "type": "string",
                    "pattern": r"^(?!.*(?:--|\.\.))[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}"
                    + END_OF_TEXT,
                    "patternErrorMessage": "a repository on the Hub (org/name)",
                },
                "revision": {
                    "description": "The branch; made where it is missing.",
                    "type": "string",
                    "pattern": _REVISION_PATTERN,
                    "patternErrorMessage": _REVISION_WORDS,
                    "default": "main",
                },
                "create_pr": {
                    "description": "Open a pull request on the Hub instead of writing to the branch.",
                    "type": "boolean",
                    "default": False,
                },
                "tag": {
                    "description": "A tag for the commit.",
                    "type": "string",
                    "pattern": _REVISION_PATTERN,
                    "patternErrorMessage": _REVISION_WORDS,
                },
                "private": {
                    "description": "Make a new repository private.",
                    "type": "boolean",
                    "default": False,
                },
            },
        },
        "output": {
            "description": "Folder of the artifacts; artifacts/<name> where absent.",
            "type": "string",
            "pattern": "^" + _NOT_JSON + _PATH_PATTERN,
            "patternErrorMessage": _PATH_WORDS + ", not ending in '.json'",
        },
    }


def _tensors(description: str) -> Schema:
    return {
        "description": description,
        "type": "object",
        "minProperties": 1,
        "maxProperties": MAX_TENSORS,
        "propertyNames": {
            "pattern": r"^[A-Za-z_][A-Za-z0-9_.-]{0,199}" + END_OF_TEXT,
            "patternErrorMessage": "a name of the model's, such as input_ids",
        },
        "additionalProperties": {
            "description": "Axis, counted from 0: its name where it varies, its size where it does not.",
            "type": "object",
            "propertyNames": {
                "pattern": "^[0-7]" + END_OF_TEXT,
                "patternErrorMessage": "the number of an axis, from 0 to 7",
            },
            "additionalProperties": {
                "type": ["string", "integer"],
                "pattern": r"^[A-Za-z_][A-Za-z0-9_]{0,99}(?: ?\+ ?[A-Za-z_][A-Za-z0-9_]{0,99}){0,3}" + END_OF_TEXT,
                "patternErrorMessage": "the name of an axis, such as batch_size, or its size",
                "minimum": 1,
                "maximum": MAX_AUDIO_SAMPLES,
            },
        },
    }


def _sizes(argument: str) -> Schema:
    size = {"minimum": 1, "maximum": MAX_AUDIO_SAMPLES if argument == "audio_sequence_length" else MAX_AXIS_SIZE}
    return {
        "type": ["integer", "array"],
        **size,
        "minItems": 1,
        "maxItems": MAX_POINTS,
        "items": {"type": "integer", **size},
    }


def _kept_nodes() -> Schema:
    return {
        "type": ["string", "array"],
        "pattern": "^auto" + END_OF_TEXT,
        "patternErrorMessage": "auto, or a list such as [LayerNormalization, '/encoder/layer.0/*']",
        "minItems": 1,
        "items": {
            "type": "string",
            "pattern": r"^[^\x00-\x1f\x7f]{1,500}" + END_OF_TEXT,
            "patternErrorMessage": "an operator or a pattern of node names",
        },
    }


def _output_tolerances() -> Schema:
    positive = {"type": "number", "exclusiveMinimum": 0}
    share = {**positive, "maximum": 1}
    return {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {
            "pattern": r"^[^\x00-\x1f\x7f]{1,200}" + END_OF_TEXT,
            "patternErrorMessage": "the name of an output, such as logits",
        },
        "additionalProperties": {
            "description": "A number is atol.",
            "type": ["number", "object"],
            "exclusiveMinimum": 0,
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {
                "atol": {"description": "Allowed absolute error.", **positive},
                "rtol": {"description": "Allowed error relative to PyTorch's value.", **positive},
                "sqnr_db": {"description": "Decibels of signal over noise to keep.", "type": "number"},
                "cosine": {"description": "Cosine with PyTorch's values to keep.", **share},
                "agreement": {"description": "Share of rows with PyTorch's largest logit to keep.", **share},
            },
        },
    }
