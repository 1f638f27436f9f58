"""Tests of model/codes."""
