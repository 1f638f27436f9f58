"""The messages of the compacted topic `similar`: the items that are like each one, keyed by item id."""

from typing import Annotated

import msgspec
from msgspec import Meta

from stream.messages.contract import RecommendedItem

__all__ = ["SimilarItems"]


class SimilarItems(msgspec.Struct, frozen=True):
    """The items most similar to one, on the topic `similar`; without value: no model knows the item any more."""

    item_id: Annotated[str, Meta(description="by the shop's own id; also the key of the message")]
    items: Annotated[list[RecommendedItem], Meta(description="the most similar first; score: cosine, -1 to 1")]
    model: Annotated[str, Meta(description="version of the bundle")]
    published_ts: Annotated[int, Meta(description="milliseconds since the epoch")]
