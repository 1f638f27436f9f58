"""Numbered bundles in one place, local or remote, and which of them is live."""
