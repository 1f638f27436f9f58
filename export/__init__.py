"""What the trainer and the worker share: the bundle, the registry and the ranker that runs it.

Nothing here imports torch except `export.graph`, which only the trainer uses.
"""
