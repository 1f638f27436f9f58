"""Lists of nextclick as they come, each once: python read_lists.py localhost:9092 my-shop recommendations

Several programs of one group (`my-shop`) share the lists. Needs confluent-kafka.
"""

import json
import signal
import sys
from collections import OrderedDict

from confluent_kafka import Consumer, Message


class Newest:
    """Of each session the newest source, by which a repeat is known: a click has one list for each placement."""

    def __init__(self, sessions: int = 100_000) -> None:
        self._sessions = sessions
        self._seen: OrderedDict[str, tuple[tuple[str, int], int, set[str | None]]] = OrderedDict()

    def is_new(self, session: str, source: dict, placement: str | None) -> bool:
        """placement None: what takes all lists back."""
        place, offset = (source["topic"], source["partition"]), source["offset"]
        known = self._seen.pop(session, None)
        if known is None or known[0] != place or known[1] < offset:
            known, is_new = (place, offset, {placement}), True
        else:
            is_new = known[1] == offset and None not in known[2] and placement not in known[2]
            if is_new:
                known[2].add(placement)
        self._seen[session] = known
        if len(self._seen) > self._sessions:
            self._seen.popitem(last=False)  # who was silent for longest
        return is_new


def told(message: Message, newest: Newest) -> dict | None:
    """What there is to tell of a message; None where it was told before."""
    session, value = message.key().decode(), message.value()
    if value is not None:
        found = json.loads(value)
        placement = found.get("placement", "")
        if not newest.is_new(session, found["source"], placement):
            return None
        items = [item["item_id"] for item in found["items"]]
        return {"session": session, "placement": placement, "offset": found["source"]["offset"], "items": items}
    erased = dict(message.headers() or ()).get("erased")  # no value: the session was erased, show none of its lists
    if erased is not None and not newest.is_new(session, json.loads(erased)["source"], None):
        return None
    return {"session": session, "erased": True}


def main(bootstrap: str, group: str, topic: str = "recommendations") -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "isolation.level": "read_committed",  # nothing of a transaction that was given up
            "auto.offset.reset": "earliest",  # a group that is new begins with what the topic still has
        }
    )
    consumer.subscribe([topic])
    newest = Newest()
    try:
        while True:
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error():
                print(message.error().str(), file=sys.stderr)  # it goes on by itself
                continue
            found = told(message, newest)
            if found is not None:
                print(json.dumps(found, ensure_ascii=False, separators=(",", ":")), flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()  # says how far the group has read


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.stdout.reconfigure(encoding="utf-8")
    main(*sys.argv[1:])
