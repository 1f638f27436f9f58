"""Tests of model/data/item_files."""
