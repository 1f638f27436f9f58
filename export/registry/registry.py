"""The registry: numbered bundles in one place, and which of them is live for each variant.

<url>/<version>/            one bundle; versions are decimal numbers, compared as numbers
<url>/live/<variant>.json   {"history": ["3", "7"]}: promoted versions, the live one last
<url>/removed.json          {"cycles": {"default-000012": "9"}}: what cycles of a trainer published, and is gone
"""

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from export.bundle.bundle import MANIFEST, load_bundle
from export.bundle.files import UnusableFile
from export.bundle.manifest import Manifest
from export.errors import BundleError, ConfigError, NextclickError, RegistryError, RegistryMissing, VersionUnknown
from export.registry.storage import open_storage

__all__ = ["DEFAULT_VARIANT", "Registry", "check_variant"]

DEFAULT_VARIANT = "default"  # the variant of a shop that compares nothing
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_VARIANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_KEPT = 100  # promotions remembered a variant: what `rollback` can go back through
_REMOVED = "removed.json"
_REMEMBERED = 200  # cycles in it: one that may be begun again is among the newest
_ATTEMPTS = 1000  # numbers tried while other publishers take them


class _Live(msgspec.Struct, frozen=True):
    """The content of `live/<variant>.json`."""

    history: tuple[str, ...] = ()


class _Removed(msgspec.Struct, frozen=True):
    """The content of `removed.json`."""

    cycles: dict[str, str] = {}  # cycle -> version, those removed last at the end


class Registry:
    """Bundles published under one directory or fsspec URL. Safe to use from several threads and processes.

    Every method but `create` raises RegistryMissing when there is no registry, and RegistryError when storage fails.
    """

    def __init__(self, url: str | Path, *, cache: Path | None = None) -> None:
        """Name the registry; nothing is touched yet.

        url: a path, or any URL that fsspec knows. cache: where downloads from a URL are kept, by default
        `~/.cache/nextclick/bundles`; a local registry is read in place.
        """
        self.url = str(url)
        self._storage = open_storage(self.url, cache)

    def __repr__(self) -> str:
        return f"Registry({self.url!r})"

    def create(self) -> None:
        """Make an empty registry; one that exists is left as it is, but RegistryError if it can't be written."""
        with self._translated("create it"):
            self._refuse_a_version()
            self._storage.create()

    def exists(self) -> bool:
        """Return whether there is a registry at this address."""
        with self._translated("look for it"):
            return self._storage.exists()

    def versions(self) -> list[str]:
        """Return the published versions, oldest first."""
        self._require()
        with self._translated("list its versions"):
            taken = sorted(self._storage.numbers())
            if not taken:
                self._refuse_a_version()
            return [str(n) for n in taken if self._storage.has(f"{n}/{MANIFEST}")]

    def newest(self) -> str | None:
        """Return the newest published version, None while there is none."""
        self._require()
        with self._translated("list its versions"):
            for number in sorted(self._storage.numbers(), reverse=True):
                if self._storage.has(f"{number}/{MANIFEST}"):
                    return str(number)
        return None

    def publish(self, staging_dir: Path | str) -> str:
        """Publish the bundle in `staging_dir` under the next version and return that; `staging_dir` stays as it is.

        The version becomes visible at once and complete. BundleError when the bundle is not sound.
        """
        self._require()
        bundle = load_bundle(staging_dir)
        with self._translated("publish into it"):
            number = self._next_number()
            for attempt in range(number, number + _ATTEMPTS):
                manifest = msgspec.structs.replace(bundle.manifest, version=str(attempt)).to_bytes()
                if self._storage.claim(attempt, bundle.path, manifest):
                    return str(attempt)
        raise RegistryError(f"registry {self.url}: other publishers took {_ATTEMPTS} versions in a row")

    def fetch(self, version: str) -> Path:
        """Return a local directory with the version's bundle, downloaded if it must be. BundleError where a
        file is larger than the manifest says; more is not verified here.
        """
        self._content(version)
        with self._translated(f"fetch version {version}"):
            try:
                return self._storage.fetch(version)
            except UnusableFile as error:
                raise BundleError("altered", f"version {version}: {error}") from error

    def manifest(self, version: str) -> Manifest:
        """Return the manifest of a version; BundleError when it can't be read."""
        return Manifest.from_bytes(self._content(version))

    def card(self, version: str, name: str) -> bytes | None:
        """Return a file of a version's card (`CARD`, `CARD_VALUES`); None where it has none, BundleError if altered."""
        stated = self.manifest(version).files.get(name)
        if stated is None:
            return None
        with self._translated(f"read the card of version {version}"):
            content = self._storage.read(f"{version}/{name}")
        if content is None or hashlib.sha256(content).hexdigest() != stated.sha256:
            raise BundleError("altered", f"version {version}: {name} is not the file its manifest describes")
        return content

    def manifest_sha256(self, version: str) -> str:
        """Return the sha256 of a version's manifest.json, which its announcement carries."""
        return hashlib.sha256(self._content(version)).hexdigest()

    def uri(self, version: str) -> str:
        """Return the address of a version, for people and announcements."""
        return self._storage.uri(_checked(version, _VERSION, VersionUnknown))

    def live(self, variant: str = DEFAULT_VARIANT) -> str | None:
        """Return the version promoted last for a variant, None before the first promotion."""
        history = self.history(variant)
        return history[-1] if history else None

    def history(self, variant: str = DEFAULT_VARIANT) -> tuple[str, ...]:
        """Return the versions promoted for a variant, the live one last."""
        check_variant(variant)
        self._require()
        with self._translated(f"read what is live for {variant}"):
            content = self._storage.read(_live_name(variant))
        try:
            return msgspec.json.decode(content, type=_Live).history if content is not None else ()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RegistryError(f"registry {self.url}: {_live_name(variant)} can't be read: {error}") from error

    def variants(self) -> list[str]:
        """Return the variants that something was promoted for, by name."""
        self._require()
        with self._translated("list its variants"):
            names = self._storage.names("live")
        return sorted(name.removesuffix(".json") for name in names if _VARIANT.fullmatch(name.removesuffix(".json")))

    def remove(self, version: str) -> None:
        """Remove a version for good; what is served may be lost so: `export.registry.retention` knows what is."""
        _checked(version, _VERSION, VersionUnknown)
        self._require()
        try:
            lineage = self.manifest(version).lineage
        except (BundleError, VersionUnknown):  # damaged, of a later release, or half removed
            lineage = None
        with self._translated(f"remove version {version}"):
            if lineage is not None and lineage.cycle:
                self._note_removed(lineage.cycle, version)
            self._storage.remove(int(version))

    def removed_of(self, cycle: str) -> str | None:
        """Return the version that a cycle of a trainer had published, and that was removed; None where none was."""
        self._require()
        with self._translated("read what was removed"):
            return self._removed().cycles.get(cycle)

    def promote(self, version: str, variant: str = DEFAULT_VARIANT) -> None:
        """Make a version live for a variant; VersionUnknown or BundleError when it isn't published, or can't be run."""
        self.try_out(version)

        def append(history: tuple[str, ...]) -> tuple[str, ...]:
            return history if history[-1:] == (version,) else (*history, version)

        self._change(variant, append)

    def try_out(self, version: str) -> None:
        """VersionUnknown or BundleError unless a version is published, sound, and its graph runs here."""
        _try_out(self.fetch(version), version)

    def rollback(self, variant: str = DEFAULT_VARIANT) -> str:
        """Make the version promoted before the live one live again and return it.

        Versions since removed or damaged are skipped. RegistryError, with what to do instead, when there is none to go
        back to.
        """
        published = set(self.versions())

        def drop(history: tuple[str, ...]) -> tuple[str, ...]:
            kept = history[:-1]
            while kept and (kept[-1] not in published or kept[-1] == history[-1] or not self._is_sound(kept[-1])):
                kept = kept[:-1]
            if not kept:
                raise RegistryError(self._nowhere_to_go(variant, history))
            return kept

        return self._change(variant, drop)[-1]

    def _change(self, variant: str, step: Callable[[tuple[str, ...]], tuple[str, ...]]) -> tuple[str, ...]:
        check_variant(variant)
        self._require()
        with self._translated(f"change what is live for {variant}"), self._storage.lock():
            history = step(self.history(variant))[-_KEPT:]
            self._storage.replace(_live_name(variant), msgspec.json.encode(_Live(history)))
        return history

    def _note_removed(self, cycle: str, version: str) -> None:
        """Before it goes: a cycle that looks for its version in vain must not publish it again."""
        with self._storage.lock():
            known = self._removed().cycles
            kept = list({**known, cycle: version}.items())[-_REMEMBERED:]
            self._storage.replace(_REMOVED, msgspec.json.encode(_Removed(dict(kept))))

    def _removed(self) -> _Removed:
        content = self._storage.read(_REMOVED)
        try:
            return msgspec.json.decode(content, type=_Removed) if content is not None else _Removed()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # it only guards against work done twice
            return _Removed()

    def _is_sound(self, version: str) -> bool:
        try:
            self.try_out(version)
        except BundleError:
            return False
        return True

    def _nowhere_to_go(self, variant: str, history: tuple[str, ...]) -> str:
        if not history:
            what = f"nothing was promoted for variant {variant} yet"
        elif len(set(history)) == 1:
            what = f"version {history[-1]} is the only one promoted for variant {variant}"
        else:
            what = f"of the versions promoted for variant {variant} before {history[-1]} none is left that can be run"
        return (
            f"registry {self.url}: there is no earlier version to go back to: {what}. `nextclick models list` shows "
            "what there is, `nextclick models promote VERSION` makes another one live"
        )

    def _content(self, version: str) -> bytes:
        _checked(version, _VERSION, VersionUnknown)
        self._require()
        with self._translated(f"read version {version}"):
            try:
                content = self._storage.read(f"{version}/{MANIFEST}")
            except UnusableFile as error:
                raise BundleError("bad_manifest", f"version {version}: {MANIFEST} can't be read: {error}") from error
        if content is None:
            raise VersionUnknown(f"registry {self.url} has no version {version}; `nextclick models list` shows all")
        return content

    def _next_number(self) -> int:
        """Return one more than any number seen, so that one removed after it was live by default isn't given again."""
        promoted = (int(version) for version in self.history() if _VERSION.fullmatch(version))
        return max([0, *self._storage.numbers(), *promoted]) + 1

    def _require(self) -> None:
        if not self.exists():
            raise RegistryMissing(f"there is no registry at {self.url}; `nextclick train --registry` makes one")

    def _refuse_a_version(self) -> None:
        if self._storage.has(MANIFEST):
            raise RegistryMissing(f"{self.url} is one version, not a registry: name the folder above it")

    @contextlib.contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        """Translate what storage raises, once, with its cause."""
        try:
            yield
        except (OSError, NotImplementedError) as error:
            raise RegistryError(f"registry {self.url}: can't {action}: {error}") from error


def check_variant(variant: str) -> str:
    """Return the name of a variant, or raise ConfigError: it names files, keys of messages and metrics."""
    if not isinstance(variant, str) or not _VARIANT.fullmatch(variant):
        raise ConfigError(
            f"{variant!r} is no name of a variant: letters, digits, _ and - (not first), 64 at most, like new-model"
        )
    return variant


def _try_out(directory: Path, version: str) -> None:
    """BundleError unless the bundle is sound, of this version, as workers want it, and its graph runs here."""
    from export.ranking.ranker import Ranker, RankerConfig  # ONNX Runtime, which those who list and fetch don't need

    bundle = load_bundle(directory)
    if bundle.version != version:
        raise BundleError(
            "altered",
            f"{directory} is no version {version}, its manifest says {bundle.version}: a copied folder gets no number, "
            "and workers refuse it: promote a version that was published here",
        )
    Ranker(bundle, RankerConfig(threads=1))


def _checked(name: str, pattern: re.Pattern[str], error: type[NextclickError]) -> str:
    """Return `name`, or raise `error`: what passes is never a path that leaves the registry."""
    if not isinstance(name, str) or not pattern.fullmatch(name):
        raise error(f"{name!r} is not a name this registry could hold (it must match {pattern.pattern})")
    return name


def _live_name(variant: str) -> str:
    return f"live/{variant}.json"
