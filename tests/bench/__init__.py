"""Tests of the benchmarks: their splitting, their bookkeeping, their tables."""
