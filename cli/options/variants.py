"""What `--variant` and `--exposure` of an experiment say: shares in percent, of two decimals at most."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from export.errors import ConfigError
from export.experiments.experiment import BUCKETS, Variant

__all__ = ["LIVE", "buckets_of", "percent_of", "read_variants"]

LIVE = "live"  # in place of a version: whatever is live

_FORM = (
    "--variant takes NAME=VERSION:SHARE, such as control=12:50 (VERSION `live`: whatever is live; VERSION@N: with the "
    "preference N of orders against clicks, 0 to 1)"
)


def read_variants(texts: Sequence[str]) -> tuple[Variant, ...]:
    """The variants, the control first; without any share they get equal ones. ConfigError for what is none."""
    parts = [_split(text) for text in texts]
    given = [share for _, _, share in parts if share]
    if given and len(given) < len(parts):
        raise ConfigError(
            "give each --variant its share, such as control=12:50, or none of them: then shares are equal"
        )
    if given:
        shares = [buckets_of(share, f"the share of {name}") for name, _, share in parts]
    else:
        each = BUCKETS // max(len(parts), 1)
        shares = [BUCKETS - each * (len(parts) - 1), *[each] * (len(parts) - 1)]
    return tuple(_variant(name, version, share) for (name, version, _), share in zip(parts, shares, strict=False))


def buckets_of(percent: str, what: str) -> int:
    """A percentage as buckets of 10,000; ConfigError for one of more than two decimals, or none above 0 up to 100."""
    try:
        buckets = Decimal(percent.strip().removesuffix("%").strip()) * BUCKETS / 100
    except InvalidOperation:
        raise ConfigError(f"{what} is a percentage such as 50 or 12.5, not {percent!r}") from None
    if not buckets.is_finite() or not 0 < buckets <= BUCKETS:
        raise ConfigError(f"{what} must be above 0 and at most 100 %, not {percent}")
    if buckets != int(buckets):
        raise ConfigError(f"{what} may have two decimals at most, not {percent}")
    return int(buckets)


def percent_of(buckets: int) -> float:
    """Buckets of 10,000 in percent."""
    return round(100 * buckets / BUCKETS, 2)


def _variant(name: str, text: str, share: int) -> Variant:
    """A variant whose version may have a preference behind it."""
    version, at, preference = text.partition("@")
    if not at:
        return Variant(name, "" if version == LIVE else version, share=share)
    try:
        weight = float(preference)
    except ValueError:
        weight = -1.0
    if not 0 <= weight <= 1:
        raise ConfigError(f"the preference of {name} is a number from 0 (clicks) to 1 (orders), not {preference!r}")
    return Variant(name, "" if version == LIVE else version, share=share, preference=weight)


def _split(text: str) -> tuple[str, str, str]:
    """Name, version and share (empty: not given)."""
    name, equals, rest = text.partition("=")
    version, _, share = rest.partition(":")
    name, version = name.strip(), version.strip()
    if not equals or not name or not version:
        raise ConfigError(f"{_FORM}, not {text!r}")
    return name, version, share.strip()
