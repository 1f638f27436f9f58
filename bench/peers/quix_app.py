"""The same work with Quix Streams: sessions in its state store (RocksDB and changelog topic), lists on the topic.

    python -m bench.peers.quix_app BOOTSTRAP BUNDLE GROUP [--batched]

Runs in a virtual environment of its own (`quix_env`). The library hands over one event at a time, so by default
each click is ranked and sent to the topic by itself. With --batched the ranking is done in a BatchingSink, which is
meant for databases outside of Kafka: it gets what came between two checkpoints, here every MAX_BATCH clicks, and the
clicks are committed after it has flushed.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from quixstreams import Application, message_context  # type: ignore[import-not-found]
from quixstreams.sinks import BatchingSink, SinkBatch  # type: ignore[import-not-found]

from bench.peers.output import MAX_BATCH, WINDOW, K, list_message
from export.bundle.bundle import load_bundle
from export.ranking.ranker import Ranker, RankerConfig
from stream.messages.contract import Source

# As the worker's: confirmed by all replicas, idempotent, the same waiting and compression
_PRODUCER = {"acks": "all", "enable.idempotence": True, "linger.ms": 0.5, "compression.type": "lz4"}


class Ranking(BatchingSink):  # type: ignore[misc]
    """Ranks the newest state of each session of a batch, and waits until the broker has all lists."""

    def __init__(self, bootstrap: str, ranker: Ranker) -> None:
        super().__init__()
        self._ranker = ranker
        self._producer = Producer({**_PRODUCER, "bootstrap.servers": bootstrap, "partitioner": "murmur2_random"})

    def write(self, batch: SinkBatch) -> None:
        """One list for each session of the batch."""
        newest = {item.value["session_id"]: item for item in batch}
        lists = self._ranker.rank_items([item.value["items"] for item in newest.values()], K)
        for (session, item), ranked in zip(newest.items(), lists, strict=True):
            source = Source(batch.topic, batch.partition, item.offset)
            value = list_message(session, ranked, self._ranker.version, source, item.value["ts"])
            self._producer.produce("recommendations", value, session.encode())

    def flush(self) -> None:
        super().flush()
        self._producer.flush()


def extend(click: dict[str, Any], state: Any) -> dict[str, Any]:
    """The click with its session's items, which are kept in the state store."""
    items = [*state.get("items", []), click["item_id"]][-WINDOW:]
    state.set("items", items)
    return {"session_id": click["session_id"], "items": items, "ts": click["ts"]}


def build(bootstrap: str, group: str, ranker: Ranker, folder: str, *, batched: bool) -> Any:
    """The application; batched, with a checkpoint every MAX_BATCH clicks, or every second when fewer come."""
    app = Application(
        broker_address=bootstrap,
        consumer_group=group,
        auto_offset_reset="earliest",
        state_dir=folder,
        commit_every=MAX_BATCH if batched else 0,
        commit_interval=1.0,
        producer_extra_config=_PRODUCER,
        consumer_poll_timeout=0.01,
        loglevel="WARNING",
    )

    def rank(session: dict[str, Any]) -> bytes:
        context = message_context()
        [ranked] = ranker.rank_items([session["items"]], K)
        source = Source(context.topic, context.partition, context.offset)
        return list_message(session["session_id"], ranked, ranker.version, source, session["ts"])

    clicks = app.dataframe(app.topic("clicks", value_deserializer="json", key_deserializer="str"))
    sessions = clicks.apply(extend, stateful=True)
    if batched:
        sessions.sink(Ranking(bootstrap, ranker))
    else:
        lists = app.topic("recommendations", value_serializer="bytes", key_serializer="str")
        sessions.apply(rank).to_topic(lists)
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bootstrap")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("group")
    parser.add_argument("--threads", type=int, default=0, help="of the graph; 0: one a core")
    parser.add_argument("--batched", action="store_true")
    args = parser.parse_args()
    ranker = Ranker(load_bundle(args.bundle), RankerConfig(threads=args.threads))
    with tempfile.TemporaryDirectory(prefix="nextclick-quix-") as folder:
        build(args.bootstrap, args.group, ranker, folder, batched=args.batched).run()


if __name__ == "__main__":
    main()
