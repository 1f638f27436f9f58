"""Tests of export/items."""
