"""Tests of export/codes."""
