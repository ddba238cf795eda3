"""The environment of a process that runs a model: what it needs, by name. Nothing else gets there.

A list of what is secret would miss ``GH_PAT``, ``APIKEY`` or ``DATABASE_URL``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from onnx_export_action.isolation.import_path import searched_folders

# Who and where, the system's language; how Python, the numeric libraries and the Hub's client are set up; proxies and
# certificates, for code that a model's repository takes from another one.
_ALLOWED = re.compile(
    r"HOME|USER|LOGNAME|SHELL|TERM|NO_COLOR|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|XDG_(?:CACHE|CONFIG|DATA)_HOME|CI"
    r"|VIRTUAL_ENV|CONDA_PREFIX|LD_PRELOAD|PYTHON\w+|SOURCE_DATE_EPOCH"
    r"|(?:OMP|GOMP|KMP|MKL|OPENBLAS|BLIS|NUMEXPR|VECLIB|MALLOC|DNNL|ONEDNN|ATEN|TORCH|PYTORCH|ORT|ONNXRUNTIME)_\w+"
    r"|CUDA_VISIBLE_DEVICES|TOKENIZERS_PARALLELISM|TRANSFORMERS_\w+|HUGGINGFACE_HUB_CACHE"
    r"|HF_(?:HOME|HUB_CACHE|HUB_OFFLINE|HUB_DISABLE_\w+|HUB_\w*TIMEOUT|MODULES_CACHE|ASSETS_CACHE|XET_CACHE|ENDPOINT)"
    r"|SSL_CERT_(?:FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(?:HTTPS?|ALL|NO)_PROXY|ONNX_EXPORT_\w+",
    re.IGNORECASE,
)
_SECRET = re.compile(r"TOKEN(?!IZERS)|SECRET|PASSW|CREDENTIAL|(?:^|_)(?:API_?)?KEY(?:_|$)|AUTH", re.IGNORECASE)
_PASSWORD_IN_ADDRESS = re.compile(r"//[^/@]*@")


def environment_of_models(environment: Mapping[str, str]) -> dict[str, str]:
    """What of ``environment`` a process that runs a model gets; it imports nothing of the working folder."""
    kept = {name: value for name, value in environment.items() if _is_harmless(name, value)}
    kept.pop("PYTHONPATH", None)
    return kept | searched_folders(environment) | {"PYTHONSAFEPATH": "1"}


def _is_harmless(name: str, value: str) -> bool:
    if _ALLOWED.fullmatch(name) is None or _SECRET.search(name) is not None:
        return False
    return _PASSWORD_IN_ADDRESS.search(value) is None
