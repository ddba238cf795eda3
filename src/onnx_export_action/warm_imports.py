"""Imported once by the fork server: what every export and reference process needs.

The collector pauses while tens of thousands of objects that all live on are created: a sixth of the import time. Then
they are frozen, so that collections in the forked processes do not touch (and thereby copy) their pages.
"""

import gc
import time

_started = time.perf_counter()
gc.disable()

import torch  # noqa: E402
import torch.onnx  # noqa: E402, F401
import transformers  # noqa: E402
import transformers.modeling_utils  # noqa: E402
import transformers.models.auto.modeling_auto  # noqa: E402, F401

import onnx_export_action.export.exporter  # noqa: E402
import onnx_export_action.validation.reference  # noqa: E402, F401

gc.freeze()
SECONDS = time.perf_counter() - _started
