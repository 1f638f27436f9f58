"""A worker whose ranker costs nothing: what is left is decoding, durable state and output.

python -m bench.peers.no_ranking BOOTSTRAP GROUP
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Sequence

from bench.peers.output import K
from export.ranking.ranker import RankedList
from stream.config import StreamConfig
from stream.topic_names import Topics
from stream.worker import run_worker


class SameList:
    """The same list for everybody."""

    version = "no-ranking"
    k_max = K

    def __init__(self) -> None:
        self._list = RankedList([(f"item-{place}", 1.0 / (1 + place)) for place in range(K)], False)

    def rank_items(
        self, sessions: Sequence[Sequence[str]], k: int, exclude: Sequence[Collection[str]] | None = None
    ) -> Sequence[RankedList]:
        return [self._list] * len(sessions)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bootstrap")
    parser.add_argument("group")
    parser.add_argument("--clicks", default="clicks", help="topic")
    parser.add_argument("--lists", default="recommendations", help="topic")
    args = parser.parse_args()
    topics = Topics(clicks=args.clicks, recommendations=args.lists)
    config = StreamConfig(
        bootstrap_servers=args.bootstrap,
        registry="none",
        group=args.group,
        topics=topics,
        web_port=0,
        log_level="warning",
    )
    return run_worker(config, ranker=SameList())


if __name__ == "__main__":
    sys.exit(main())
