"""Writes what the hooks know of transformers' model types, and the default configurations the tests hold them to.

The hooks run without transformers, yet must read a ``config.json`` as transformers does: an attribute may stand under
another name, and one that is absent has the class's default. Run with the newest supported transformers:

    python tools/describe_model_types.py
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import transformers
from transformers import CONFIG_MAPPING, PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "hooks" / "onnx_export_hooks" / "model_types.json"
DEFAULTS = ROOT / "tests" / "data" / "default_configurations"
LONGEST_LIST = 16
# Composite types whose parts have no default: what a reader would put together.
PARTS = {
    "encoder-decoder": ("bert", "bert"),
    "vision-encoder-decoder": ("vit", "gpt2"),
    "speech-encoder-decoder": ("wav2vec2", "bert"),
}


def main(wanted: list[str]) -> None:
    """Write the table; and, for the model types named on the command line, their default configurations."""
    described = {name: _described(name) for name in sorted(CONFIG_MAPPING_NAMES)}
    lines = [f"{json.dumps(name)}: {json.dumps(facts, allow_nan=False)}" for name, facts in described.items()]
    head = {"transformers": transformers.__version__, "shared": sorted(PreTrainedConfig().to_dict())}
    text = json.dumps(head, indent=1)[:-2] + ',\n "model_types": {\n' + ",\n".join(lines) + "\n}}\n"
    TABLE.write_text(text, encoding="utf-8")
    DEFAULTS.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        config = _default_configuration(name)
        text = config.to_json_string(use_diff=False)
        (DEFAULTS / f"{name}.json").write_text(text, encoding="utf-8")


def _described(name: str) -> dict[str, Any]:
    """Other names of attributes, model types of the parts, defaults, and attributes without a plain default."""
    config_class = CONFIG_MAPPING[name]
    parts = {
        key: part.model_type
        for key, part in config_class.sub_configs.items()
        if getattr(part, "model_type", "") in CONFIG_MAPPING_NAMES
    }
    values = _default_values(name)
    defaults = {key: value for key, value in values.items() if _is_plain(value)}
    facts = {
        "attribute_map": config_class.attribute_map,
        "parts": parts,
        "defaults": defaults,
        "others": sorted(values.keys() - defaults.keys()),
    }
    return {key: value for key, value in facts.items() if value}


def _default_values(name: str) -> dict[str, Any]:
    """The attributes of the type's default configuration, but for what every configuration has alike."""
    try:
        values = _default_configuration(name).to_dict() if name not in PARTS else {}
    except Exception as error:  # some types need a package, or arguments: they have no defaults
        print(f"{name}: no defaults: {error}", file=sys.stderr)
        return {}
    shared = PreTrainedConfig().to_dict()
    own = {key: value for key, value in values.items() if key not in shared or shared[key] != value}
    return {key: value for key, value in own.items() if key != "model_type"}


def _default_configuration(name: str) -> PreTrainedConfig:
    if name not in PARTS:
        return CONFIG_MAPPING[name]()
    encoder, decoder = (CONFIG_MAPPING[part]() for part in PARTS[name])
    return CONFIG_MAPPING[name].from_encoder_decoder_configs(encoder, decoder)


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return len(value) <= LONGEST_LIST and all(_is_plain(item) and not isinstance(item, list) for item in value)
    return isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))


if __name__ == "__main__":
    main(sys.argv[1:])
