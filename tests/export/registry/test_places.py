"""An address is a local folder, or one in a storage of fsspec; what it is of is said where it is neither."""

from pathlib import Path

import pytest

from export.errors import ConfigError
from export.registry.places import Remote, place_of


def test_paths_and_file_urls_are_local(tmp_path: Path) -> None:
    assert place_of(str(tmp_path), "store") == tmp_path
    assert place_of(f"file://{tmp_path}", "store") == tmp_path


def test_any_other_storage_has_a_file_system_and_a_root() -> None:
    place = place_of("memory://shop/models", "registry")
    assert isinstance(place, Remote)
    assert place.root.strip("/") == "shop/models"


@pytest.mark.parametrize(
    ("url", "said"),
    [("nowhere://shop", "store nowhere://shop: "), ("s3:/shop", r"s3:/shop is no URL: write s3://shop")],
)
def test_what_is_no_address_is_refused_in_words(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        place_of(url, "store")
