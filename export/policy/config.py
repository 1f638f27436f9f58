"""The policy of a shop's lists and the places where they stand, as a TOML file says it.

    exclude = ["bought", "disliked"]     # of the session: seen, carted, bought, disliked, skipped
    unavailable = true                   # leave out what the items say is not available
    blocked = ["sku-9"]                  # never shown; blocked_file names a list of them (export/id_lists.py)
    at_most = {brand = 3}                # so many items of one value of an attribute in a list
    boosts = true                        # the items' own boosts count
    push = 0.5                           # how far a dislike takes down what is like it: 0 not at all, 1 all they share
    pins = [{item = "sku-1", place = 1}] # stand at this place of every list (from 1), if they may be shown

    [[boost]]                            # multiplies the odds of all items that have this value
    attribute = "brand"
    value = "ours"
    factor = 1.5

    [placements.home]                    # a list for each placement; without any, one list that has no name
    k = 20
    [placements.product]
    k = 10
    filter = {same = "category"}         # first those that share a value of this attribute with the last item
    at_most = {}                         # what a placement says takes the place of what stands above
    [placements.cart]
    k = 5
    exclude = ["carted", "bought", "disliked"]
    filter = {where = {category = ["toys", "books"]}, price_from = 5.0, price_to = 50.0, newer_than_days = 30.0}

A filter says what comes first. Where fewer than K items pass, the best of the others follow, unless `fill = false`.
"""

import math
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from export.errors import ConfigError, UnreadableFile
from export.id_lists import given_id, read_id_list

__all__ = ["Boost", "Excluded", "Filter", "ListsConfig", "Pin", "Placement", "Policy", "parse_lists", "read_lists"]

Excluded = Literal["seen", "carted", "bought", "disliked", "skipped"]

_MOST_PLACEMENTS = 16
_MOST_BYTES = 4 * 1024 * 1024  # of the file
_LARGEST_FACTOR = 1e6  # of a boost, and its inverse the smallest
DEFAULT_PUSH = 0.5


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An item at a fixed place."""

    item: str
    place: int = 1  # from 1


class Boost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Items with a value of an attribute, shown more or less."""

    attribute: str
    value: str
    factor: float  # of the odds; above 0


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What comes first in a list; every rule given must hold."""

    same: str = ""  # an attribute of which an item shares a value with the last item of interest
    where: dict[str, tuple[str, ...]] = {}  # attribute -> values of which it has one
    price_from: float | None = None
    price_to: float | None = None
    newer_than_days: float | None = None  # by created_ts
    fill: bool = True  # the best of the others follow where fewer than K pass


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one list."""

    exclude: tuple[Excluded, ...] = ("disliked",)
    unavailable: bool = True
    blocked: frozenset[str] = frozenset()
    at_most: dict[str, int] = {}
    boosts: bool = True
    boost: tuple[Boost, ...] = ()
    push: float = DEFAULT_PUSH
    pins: tuple[Pin, ...] = ()
    filter: Filter | None = None


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """One list of a session."""

    name: str  # empty: the one list of a shop that names none
    k: int
    policy: Policy


class ListsConfig(msgspec.Struct, frozen=True):
    """The lists of a session, in the order of the file."""

    placements: tuple[Placement, ...]
    files: tuple[Path, ...] = ()  # that the file named, whose content is in here too

    def __str__(self) -> str:
        """Return the placements with their lengths, for people."""
        return ", ".join(f"{one.name or 'one list'} of {one.k}" for one in self.placements)

    @classmethod
    def single(cls, k: int, policy: Policy | None = None) -> "ListsConfig":
        """Return one list of K items without a name."""
        return cls((Placement(name="", k=k, policy=policy or Policy()),))

    def only(self, placement: str | None, where: str) -> "ListsConfig":
        """Return one of the lists alone; None: the only one. ConfigError where there is no such, or there are several;
        `where`: what the message calls the config."""
        names = [one.name for one in self.placements]
        if placement is None and len(names) > 1:
            raise ConfigError(f"{where} names the placements {', '.join(names)}: choose one of them by --placement")
        chosen = [one for one in self.placements if placement in (None, one.name)]
        if not chosen:
            raise ConfigError(f"{where} names no placement {placement!r}, but {', '.join(map(repr, names))}")
        return ListsConfig((chosen[0],), self.files)

    @property
    def blocked(self) -> frozenset[str]:
        """What at least one of the lists never shows."""
        return frozenset().union(*(one.policy.blocked for one in self.placements))

    @property
    def reads_items(self) -> bool:
        """Whether a list depends on attributes, prices or ages of items."""
        return any(one.policy.filter or one.policy.at_most or one.policy.boost for one in self.placements)

    @property
    def attributes(self) -> frozenset[str]:
        """What the lists ask of items' attributes, by name."""
        named: set[str] = set()
        for one in self.placements:
            rule = one.policy.filter
            named.update(one.policy.at_most, (boost.attribute for boost in one.policy.boost))
            named.update(() if rule is None else (*rule.where, *filter(None, [rule.same])))
        return frozenset(named)

    @property
    def values(self) -> frozenset[tuple[str, str]]:
        """The values, each with its attribute, that boosts and filters name."""
        named: set[tuple[str, str]] = set()
        for one in self.placements:
            where = {} if one.policy.filter is None else one.policy.filter.where
            named.update((boost.attribute, boost.value) for boost in one.policy.boost)
            named.update((name, text) for name, texts in where.items() for text in texts)
        return frozenset(named)

    @property
    def columns(self) -> frozenset[Literal["price", "created_ts"]]:
        """What filters ask of items beside attributes."""
        rules = [one.policy.filter for one in self.placements if one.policy.filter is not None]
        asked: dict[Literal["price", "created_ts"], bool] = {
            "price": any((rule.price_from, rule.price_to) != (None, None) for rule in rules),
            "created_ts": any(rule.newer_than_days is not None for rule in rules),
        }
        return frozenset(name for name, wanted in asked.items() if wanted)

    @property
    def k_max(self) -> int:
        """The longest list asked for."""
        return max(one.k for one in self.placements)


class _Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    item: str | int
    place: int = 1


class _Rules(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the file may say, at its top and in a placement; None: not said."""

    exclude: tuple[Excluded, ...] | None = None
    unavailable: bool | None = None
    blocked: tuple[str | int, ...] | None = None
    blocked_file: str | None = None
    at_most: dict[str, int] | None = None
    boosts: bool | None = None
    boost: tuple[Boost, ...] | None = None
    push: float | None = None
    pins: tuple[_Pin, ...] | None = None
    filter: Filter | None = None
    k: int | None = None


class _File(_Rules, forbid_unknown_fields=True, kw_only=True):
    placements: dict[str, _Rules] = {}


def read_lists(path: Path, k: int) -> ListsConfig:
    """Return what a file says; `k` items where it does not. ConfigError says what is wrong where, and what may be."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"the lists' file {path} cannot be read: {error.strerror or error}") from error
    if len(content) > _MOST_BYTES:
        raise ConfigError(f"the lists' file {path} is longer than {_MOST_BYTES:,} bytes; is it another file?")
    return parse_lists(content, k, folder=path.parent, where=str(path))


def parse_lists(content: bytes, k: int, *, folder: Path = Path(), where: str = "the lists' file") -> ListsConfig:
    """Return what the content of a file says, whose own file names begin at `folder`. ConfigError as `read_lists`."""
    try:
        said = msgspec.convert(tomllib.loads(content.decode("utf-8-sig")), _File)
    except UnicodeDecodeError:
        raise ConfigError(f"{where} is not UTF-8") from None
    except (ValueError, msgspec.ValidationError, RecursionError) as error:  # a number of 5,000 digits is a ValueError
        raise ConfigError(f"{where}: {error} (docs/policies.md has what a policy may say)") from error
    if len(said.placements) > _MOST_PLACEMENTS:
        raise ConfigError(f"{where} names {len(said.placements)} placements; at most {_MOST_PLACEMENTS}")
    if "" in said.placements:
        raise ConfigError(f"{where}: a placement has no name; one list that needs none has its k at the top")
    base = _merged(Policy(), said, folder, where)
    files = tuple(folder / one.blocked_file for one in (said, *said.placements.values()) if one.blocked_file)
    length = k if said.k is None else said.k
    if not said.placements:
        return ListsConfig((_checked(Placement(name="", k=length, policy=base), where),), files)
    placements = [
        Placement(
            name=name,
            k=length if one.k is None else one.k,
            policy=_merged(base, one, folder, f"{where}, placement {name}"),
        )
        for name, one in said.placements.items()
    ]
    return ListsConfig(tuple(_checked(one, f"{where}, placement {one.name}") for one in placements), files)


def _merged(base: Policy, said: _Rules, folder: Path, where: str) -> Policy:
    """The policy with what was said in the place of what it has."""
    given: dict[str, Any] = {
        name: value for name in Policy.__struct_fields__ if (value := getattr(said, name)) is not None
    }
    if said.blocked is not None or said.blocked_file is not None:
        listed = _listed(folder / said.blocked_file) if said.blocked_file else []
        blocked = [given_id(str(item), f"{where}: blocked") for item in said.blocked or ()]
        given["blocked"] = frozenset([*blocked, *listed])
    if said.pins is not None:
        given["pins"] = tuple(Pin(given_id(str(pin.item), f"{where}: pins"), pin.place) for pin in said.pins)
    return msgspec.structs.replace(base, **given)


def _listed(path: Path) -> list[str]:
    """The blocked items of a file; a pipe is refused, as who follows the file would wait in it for ever."""
    if path.is_fifo():
        raise UnreadableFile(f"the blocked items in {path} cannot be read: it is a pipe; name a file", path)
    return read_id_list(path, "the blocked items")


def _checked(placement: Placement, where: str) -> Placement:
    """ConfigError where a value is none that a list can keep."""
    policy = placement.policy

    def require(condition: bool, message: str) -> None:
        if not condition:
            raise ConfigError(f"{where}: {message}")

    name = placement.name
    require(all(c.isalnum() or c in "._-" for c in name) and len(name) <= 64, f"no placement is named {name!r}")
    require(1 <= placement.k <= 1000, f"k must be 1 to 1000, not {placement.k}")
    require(0.0 <= policy.push <= 2.0, f"push must be 0 to 2, not {policy.push}")
    for attribute, most in policy.at_most.items():
        require(most >= 1, f"at_most: {attribute} = {most}; at least 1 (what is never shown is blocked)")
    for boost in policy.boost:
        fits = math.isfinite(boost.factor) and 1 / _LARGEST_FACTOR <= boost.factor <= _LARGEST_FACTOR
        require(
            fits,
            f"the factor of {boost.attribute} = {boost.value!r} is {boost.factor}; it must be 0.000001 to 1,000,000",
        )
    places = [pin.place for pin in policy.pins]
    require(len(set(places)) == len(places), "two pins stand at one place")
    require(len({pin.item for pin in policy.pins}) == len(places), "an item is pinned twice")
    for pin in policy.pins:
        require(1 <= pin.place <= placement.k, f"the pin {pin.item!r} has place {pin.place}, not 1 to {placement.k}")
    if (rule := policy.filter) is not None:
        for price in (rule.price_from, rule.price_to, rule.newer_than_days):
            require(price is None or (math.isfinite(price) and price >= 0), f"{price} is no price or age of a filter")
        for attribute, values in rule.where.items():
            require(bool(values), f"filter: where names no value of {attribute}; leave it out, or name one")
        ends = rule.price_from, rule.price_to
        require(None in ends or ends[0] <= ends[1], f"filter: no price lies from {ends[0]} to {ends[1]}")  # type: ignore[operator]
    return placement
