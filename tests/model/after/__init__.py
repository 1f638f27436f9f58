"""Tests of model/after."""
