"""Imported once by the fork server: what every export and reference process needs.

The collector pauses while tens of thousands of objects that all live on are created: a sixth of the import time.
"""

import atexit
import gc
import os
import time

_started = time.perf_counter()
gc.disable()

import torch  # noqa: E402
import torch.onnx  # noqa: E402, F401
import transformers  # noqa: E402
import transformers.modeling_utils  # noqa: E402
import transformers.models.auto.modeling_auto  # noqa: E402, F401

import onnx_export_action.exporting.engines.tracer  # noqa: E402
import onnx_export_action.exporting.exporter  # noqa: E402, F401

SECONDS = time.perf_counter() - _started

# The fork server ends after its command: tearing its modules down takes over a second, while a pipe that reads the
# command's stderr would wait for it.
atexit.register(os._exit, 0)
