"""Tests of the model side: data, evaluation and training."""
