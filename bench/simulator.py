"""Clicks a second that the simulated shop gives: `python -m bench.simulator [--json]`."""

from __future__ import annotations

import argparse
import json
import time

from demo.simulated.shop import Shop
from demo.simulated.simulator import Shoppers
from demo.simulated.stock import ShopConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    shoppers = Shoppers(Shop(ShopConfig()))
    start = time.perf_counter()
    clicks = len(shoppers.sessions(args.sessions).ts)
    result = {"clicks": clicks, "clicks_per_s": round(clicks / (time.perf_counter() - start))}
    print(json.dumps(result) if args.json else json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
