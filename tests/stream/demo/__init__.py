"""Tests of stream/demo/."""
