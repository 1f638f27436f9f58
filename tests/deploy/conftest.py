"""The image that deploy/Containerfile makes, once a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deploy.built import built_image
from tests.deploy.composed import require_docker


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its name."""
    require_docker()
    with built_image(tmp_path_factory.mktemp("image")) as found:
        yield found
