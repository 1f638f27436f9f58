"""Packages of Node for the clients in docs/, fetched once by npm from the lock file and kept under .cache/."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.rig.brokers.base import BrokerMissing

__all__ = ["NODE_CLIENTS", "node_folder"]

NODE_CLIENTS = Path(__file__).parents[2] / "docs" / "clients" / "node"
_CACHE = Path(__file__).parents[2] / ".cache" / "node"
_NPM_S = 300  # for 170 packages, 57 MB


def node_folder(cache: Path = _CACHE) -> Path:
    """Return a folder with `node_modules`, fetched if they must be, and the clients as they are now, to be run there;
    BrokerMissing when Node or npm is missing, or fails."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise BrokerMissing("node or npm is not on the PATH; install them (Debian: apt-get install nodejs npm)")
    lock = (NODE_CLIENTS / "package-lock.json").read_bytes() + (NODE_CLIENTS / "package.json").read_bytes()
    folder = cache / hashlib.sha256(lock).hexdigest()[:16]
    if not folder.is_dir():
        _fetch(cache, folder)
    for source in NODE_CLIENTS.glob("*.mjs"):
        shutil.copy2(source, folder)
    return folder


def _fetch(cache: Path, folder: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix="fetch-", dir=cache))
    try:
        for name in ("package.json", "package-lock.json"):
            shutil.copy2(NODE_CLIENTS / name, staging)
        words = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(words, cwd=staging, capture_output=True, text=True, timeout=_NPM_S, check=False)
        if done.returncode != 0:
            raise BrokerMissing(f"npm could not fetch the packages: {(done.stdout + done.stderr).strip()[-2000:]}")
        if not folder.is_dir():  # another run may have been first
            staging.rename(folder)
    except subprocess.TimeoutExpired as error:
        raise BrokerMissing(f"npm did not fetch the packages within {_NPM_S} s") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


if __name__ == "__main__":
    print(node_folder())
