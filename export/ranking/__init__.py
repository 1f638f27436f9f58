"""Sessions in, lists out: the ranker that worker, evaluation and benchmarks share."""
