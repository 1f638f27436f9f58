"""Tests of what the trainer and the worker share."""
