"""What the trainer and the worker share: the bundle, the registry and the ranker that runs it.

Nothing here imports torch except `export.onnx`, `export.topk` and `export.parity`, which only the trainer uses.
"""
