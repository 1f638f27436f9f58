"""What the trainer and the worker share: the bundle, the registry and the ranker that runs it.

Nothing here imports torch except `export.graph`, which only the trainer uses.
"""

import os

# Before ONNX Runtime is loaded: since 1.29 its builds for Linux send usage to Microsoft, model names and hashes among
# it, unless told not to. Who sets the variable decides.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
