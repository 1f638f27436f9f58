"""Experiments in a worker: which variants it serves, and which session is ranked by which."""
