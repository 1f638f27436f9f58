"""Clicks, sessions and items that benchmarks and tests stand on: simulated, or read from data sets."""
