"""What the trainer and the worker share: the bundle, the registry and the ranker that runs it.

Nothing here imports torch except `export.topk`, `export.int8`, `export.onnx`, `export.parity` and `export.choice`,
which only the trainer uses.
"""
