"""Tests of the page: its drawings, what it tells, who may press its buttons, and the whole in a browser."""
