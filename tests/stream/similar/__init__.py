"""Tests of stream/similar."""
