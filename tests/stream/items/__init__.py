"""Tests of stream/items."""
