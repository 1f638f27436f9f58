"""One item as the shop describes it, on the topic, in files and in the table alike."""

import msgspec

__all__ = ["Item"]


class Item(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What is in force of one item. `rules.py` says what the values may be; whoever makes one directly keeps to it."""

    item_id: str  # by the law of ids
    available: bool = True  # false: in no list
    attributes: dict[str, tuple[str, ...]] = {}  # name -> values; an attribute without values is none
    price: float | None = None  # in whatever currency the shop counts; None: unknown
    boost: float = 1.0  # above 0; multiplies the odds: ln(boost) is added to the score
    created_ts: int | None = None  # ms since epoch; None: unknown
