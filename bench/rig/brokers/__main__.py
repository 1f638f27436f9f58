"""Kafka to try things on, where there is none: `python -m bench.rig.brokers`, until Ctrl-C.

By Docker, or Java 17 with Maven, as the tests have it; what was on it is gone with it.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping

from bench.rig.brokers.base import Broker
from bench.rig.brokers.choose import choose_broker
from bench.rig.brokers.containers import ContainerBroker
from bench.rig.brokers.jvm import JvmBroker

_KAFKAS: Mapping[str, Callable[[], Broker]] = {"testcontainers": ContainerBroker, "jvm": JvmBroker}


def main(kinds: Mapping[str, Callable[[], Broker]] = _KAFKAS) -> int:
    """Start a broker, say its address, and wait; 2 where none can be had, with what is missing."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    wanted = {"NEXTCLICK_BROKER": os.environ["NEXTCLICK_BROKER"]} if "NEXTCLICK_BROKER" in os.environ else {}
    choice = choose_broker(wanted, kinds)
    if choice.broker is None:
        print("no broker can be started here:", *choice.missing, sep="\n  ", file=sys.stderr)
        return 2
    print(f"{choice.broker.label}; export NEXTCLICK_BOOTSTRAP_SERVERS={choice.broker.bootstrap}", flush=True)
    ended.wait()
    choice.broker.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
