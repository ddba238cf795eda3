"""Names of files that many rooms read, and how large such a file may be."""

from __future__ import annotations

SETTINGS_NAME = "onnx-export.yaml"
CONFIG_NAME = "config.json"
"""The configuration of a model."""

GENERATION_CONFIG_NAME = "generation_config.json"
"""How a model generates: token ids, and the defaults of a search."""

TOKENIZER_NAME = "tokenizer.json"
"""The whole of a tokenizer, as the library tokenizers and transformers.js read it."""

ADAPTER_CONFIG_NAME = "adapter_config.json"
"""The configuration of an adapter of peft, which names the model that it belongs to."""

MAX_CONFIG_BYTES = 16 * 2**20
"""A larger file of that name is no configuration of a model."""

MAX_SAFETENSORS_HEADER_BYTES = 100_000_000
"""The limit of the safetensors library itself."""

REPRODUCING_SCRIPT = "reproduce.py"
"""In a folder beside the artifact folder: shows a wrong file again."""
