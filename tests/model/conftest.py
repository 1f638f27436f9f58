"""Training is tested here; the exporter has tests of its own, in tests/export/graph and nets/test_serving*.py."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def _translations(translations: None) -> None:
    """Every file's."""
