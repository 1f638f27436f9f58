"""Tests of the readers of click logs."""
