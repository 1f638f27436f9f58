"""Tests of the parts of the drift benchmark."""
