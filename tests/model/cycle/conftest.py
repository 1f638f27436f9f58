"""Cycles are about what is exported when; the exporter has tests of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import export.graph.onnx as exporter
from tests.model.graphs import Translations


@pytest.fixture(scope="package", autouse=True)
def translations() -> Iterator[None]:
    """A shape of model is translated once."""
    patch = pytest.MonkeyPatch()
    patch.setattr(exporter, "_translate", Translations(exporter._translate))
    yield
    patch.undo()
