"""API keys: what the file may say, and who is let through."""

import hashlib
from pathlib import Path

import pytest

from export.errors import ConfigError
from stream.serve.config import ServeConfig
from stream.serve.http.keys import ApiKeys

SECRET = "s3cret-of-sixteen-or-more"


def keys(path: Path, text: str) -> ApiKeys:
    file = path / "keys"
    file.write_text(text)
    return ApiKeys(file)


def test_keys_are_found_by_themselves_and_by_their_hash(tmp_path: Path) -> None:
    hashed = hashlib.sha256(b"another-long-enough").hexdigest()
    found = keys(tmp_path, f"# who\n\nshop read {SECRET}\ngateway read,write sha256:{hashed}\n")
    one, other = found.find(SECRET), found.find("another-long-enough")
    assert one is not None
    assert (one.name, one.rights) == ("shop", frozenset({"read"}))
    assert other is not None
    assert other.rights == {"read", "write"}
    assert found.find(f"sha256:{hashed}") is None, "the hash in the file opens nothing"
    assert found.find("") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shop read",
        f"shop all {SECRET}",
        "shop read short",
        "shop read sha256:12",
        f"a read {SECRET}\nb write {SECRET}",
    ],
)
def test_file_that_is_wrong_is_refused_without_showing_a_key(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as error:
        keys(tmp_path, text)
    assert "short" not in str(error.value)
    assert SECRET not in str(error.value)


def test_file_is_read_anew_when_it_changes_and_a_broken_one_leaves_the_keys(tmp_path: Path) -> None:
    found = keys(tmp_path, f"shop read {SECRET}\n")
    assert not found.look()
    (tmp_path / "keys").write_text("shop read other-long-enough-key\n")
    assert found.look()
    assert found.find(SECRET) is None
    (tmp_path / "keys").write_text("nonsense\n")
    with pytest.raises(ConfigError):
        found.look()
    assert found.find("other-long-enough-key") is not None


def test_beyond_this_machine_keys_are_asked_for_unless_it_is_said() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        ServeConfig(host=host)
    with pytest.raises(ConfigError, match="--api-keys"):
        ServeConfig(host="0.0.0.0")
    ServeConfig(host="0.0.0.0", without_keys=True)
    with pytest.raises(ConfigError, match="origin"):
        ServeConfig(origins=("shop.example",))
