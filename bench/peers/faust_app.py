"""A naive Faust agent: one Table write, one inference and one `send` an event, in Faust's default settings.

python -m bench.peers.faust_app BOOTSTRAP BUNDLE GROUP
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import faust

from bench.peers.output import WINDOW, K, list_message
from export.bundle.bundle import load_bundle
from export.ranking.ranker import Ranker, RankerConfig
from stream.messages.contract import Source


def build(bootstrap: str, group: str, ranker: Ranker, folder: str) -> Any:
    """The app as the Faust tutorial writes one: acknowledged after the event was processed, at least once."""
    app = faust.App(group, broker=f"kafka://{bootstrap}", topic_partitions=4, datadir=folder, web_enabled=False)
    clicks = app.topic("clicks", key_type=str, key_serializer="raw", value_serializer="json")
    lists = app.topic("recommendations", key_type=str, key_serializer="raw", value_serializer="raw")
    sessions = app.Table("sessions", default=list)

    @app.agent(clicks)  # type: ignore[untyped-decorator]
    async def rank(stream: Any) -> None:
        async for event in stream.events():
            session = event.value["session_id"]
            items = [*sessions[session], event.value["item_id"]][-WINDOW:]
            sessions[session] = items
            [ranked] = ranker.rank_items([items], K)
            source = Source("clicks", event.message.partition, event.message.offset)
            value = list_message(session, ranked, ranker.version, source, event.value["ts"])
            await lists.send(key=session, value=value)

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bootstrap")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("group")
    parser.add_argument("--threads", type=int, default=0, help="of the graph; 0: one a core")
    args = parser.parse_args()
    ranker = Ranker(load_bundle(args.bundle), RankerConfig(threads=args.threads))
    with tempfile.TemporaryDirectory(prefix="nextclick-faust-") as folder:
        app = build(args.bootstrap, args.group, ranker, folder)
        faust.Worker(app, loglevel="warning").execute_from_commandline()


if __name__ == "__main__":
    main()
