"""Mirrors demo/simulated."""
