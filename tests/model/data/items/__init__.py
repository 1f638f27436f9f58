"""Tests of model/data/items."""
