"""Sessions a second of training with a preset's published settings.

python -m bench.training [--preset tron] [--data LOG] [--seconds S] [--threads N] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

from model.log import SessionLog
from model.presets import preset
from model.readers import build_log, read_log
from model.split import hold_out
from model.train import train
from stream.demo.simulator import ShopConfig, simulate_log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="tron")
    parser.add_argument("--data", type=Path, help="click log; left out: the simulator's shop")
    parser.add_argument("--items", type=int, default=12_000, help="catalogue of the simulated shop")
    parser.add_argument("--sessions", type=int, default=50_000, help="of the simulated shop")
    parser.add_argument("--seconds", type=float, default=20.0, help="of training")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    log, valid = load(args.data, args.items, args.sessions)
    chosen = preset(args.preset).override(epochs=100, threads=args.threads, max_seconds=args.seconds)
    trained = train(log, valid, chosen)
    result = {
        "preset": args.preset,
        "sessions_per_s": round(trained.sessions_per_s, 1),
        "clicks_per_session": round(log.clicks / log.sessions, 2),
        "items": len(log.vocabulary),
        "cpus": os.cpu_count(),
    }
    print(json.dumps(result) if args.json else json.dumps(result, indent=2))


def load(data: Path | None, items: int, sessions: int) -> tuple[SessionLog, SessionLog]:
    """The log to learn from, and the part held out of it."""
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as folder:
        path = data or Path(folder) / "shop.parquet"
        if data is None:
            simulate_log(path, ShopConfig(items=items), sessions)
        raw, held_out = hold_out(read_log(path))
    log = build_log(raw)
    return log, build_log(held_out, log.vocabulary)


if __name__ == "__main__":
    main()
