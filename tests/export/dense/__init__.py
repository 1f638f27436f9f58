"""Tests of export/dense."""
