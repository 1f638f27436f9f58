"""Codes of items, made of a log before the training that learns what they stand for."""
