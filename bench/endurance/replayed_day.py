"""A day of a real log through two workers, one of them killed on the way: is every click answered, and rightly?

    python -m bench.endurance.replayed_day --data LOG --bundle-registry DIR [--rate R] [--kill-after S] [--json]

Clicks go through a real broker at a fixed rate. One worker is killed with SIGKILL in full flow and not replaced. Then
each session's last list must be the ranker's for its items, which is what `nextclick recommend` prints.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

from bench.data.clicks import Click, read_clicks
from bench.measure.answers import Answers, wait_until_answered
from bench.measure.cluster import PARTITIONS, broker
from bench.measure.load import send
from bench.measure.systems import processes
from export.bundle.bundle import load_bundle
from export.ranking.ranker import Ranker
from export.registry.registry import Registry
from stream.kafka.topics import create_topics
from stream.kafka.watch import watch
from stream.messages import contract
from stream.partition.session import SessionState, fold_click, ranking_items

GROUP = "replayed-day"
K = 20
TIE = 1e-4  # scores nearer to each other than this may change places: batches of other sizes round differently


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap-servers", help="left out: a broker of the tests' own is started")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle-registry", type=Path, required=True)
    parser.add_argument("--clicks", type=int, default=1_000_000, help="at most")
    parser.add_argument("--rate", type=float, default=2_000)
    parser.add_argument("--kill-after", type=float, default=15, help="seconds of replay")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as folder:
        result = run(args, Path(folder))
    print(json.dumps(result) if args.json else json.dumps(result, indent=2))
    sys.exit(1 if result["wrong_lists"] else 0)


def run(args: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Replay, kill, wait for every answer, compare; returns what is printed."""
    clicks = read_clicks(args.data, args.clicks)
    if len(clicks) / args.rate <= args.kill_after:
        raise SystemExit(f"the replay lasts {len(clicks) / args.rate:.0f} s: nobody would be killed in full flow")
    registry = Registry(str(args.bundle_registry))
    version = registry.live() or registry.newest()
    if version is None:
        raise SystemExit(f"{args.bundle_registry} holds no bundle")
    with broker(args.bootstrap_servers) as bootstrap:
        create_topics(bootstrap, partitions=PARTITIONS, group=GROUP)
        answers = Answers(bootstrap)
        worker = [sys.executable, "-m", "nextclick", "worker", "--bootstrap-servers", bootstrap, "--group", GROUP]
        worker += ["--registry", str(args.bundle_registry), "--web-port", "0", "--broker-session-timeout-s", "6"]
        with processes(worker, 2, folder / "workers.log") as running:
            wait_until_answered(answers, send(bootstrap, [("warm-up", clicks[0][1], 0)]), running, 60)
            killer = threading.Timer(args.kill_after, running[0].kill)
            killer.start()
            sent = send(bootstrap, clicks, rate=args.rate)
            killer.join()
            wait_until_answered(answers, sent, running[1:], 120)
        ms = answers.latencies(sent) * 1_000
        answers.close()
        last = last_lists(bootstrap)
    p50, p99 = np.percentile(ms, (50, 99))
    return {
        "clicks": len(clicks),
        "answered": int(np.isfinite(ms).sum()),
        "sessions": len({session for session, _, _ in clicks}),
        "wrong_lists": wrong_lists(Ranker(load_bundle(registry.fetch(version))), final_sessions(clicks), last),
        "lists": answers.lists,
        "rate": args.rate,
        "p50_ms": round(float(p50), 1),
        "p99_ms_with_the_failover": round(float(p99), 1),
        "model": version,
        "cpus": os.cpu_count(),
    }


def final_sessions(clicks: list[Click]) -> dict[str, tuple[str, ...]]:
    """Each session's items after all its clicks, by the worker's own rule of folding."""
    states: dict[str, SessionState] = {}
    for number, (session, item, ts) in enumerate(clicks):
        click = contract.Click(session_id=session, item_id=item, ts=ts)
        states[session] = fold_click(states.get(session), click, number)
    return {session: ranking_items(state) for session, state in states.items()}


def last_lists(bootstrap: str) -> dict[str, contract.Recommendation]:
    """The newest list of each session, as a subscriber who reads the whole topic has it."""
    return {found.session_id: found for found in watch(bootstrap, from_beginning=True, idle_s=3)}


def wrong_lists(ranker: Ranker, sessions: dict[str, tuple[str, ...]], last: dict[str, contract.Recommendation]) -> int:
    """How many sessions' last list is not the ranker's: other items, another order (but for ties), other scores."""
    names = sorted(sessions)
    wrong = 0
    for start in range(0, len(names), 512):
        part = names[start : start + 512]
        for name, ranked in zip(part, ranker.rank_items([sessions[name] for name in part], K), strict=True):
            wrong += not same(dict(ranked.items), last.get(name))
    return wrong


def same(expected: dict[str, float], found: contract.Recommendation | None) -> bool:
    """Each place has the score it must have, and each item its own score, within TIE."""
    if found is None or len(found.items) != len(expected):
        return False
    edge = min(expected.values(), default=0.0)
    pairs = zip(found.items, expected.values(), strict=True)
    return all(
        abs(item.score - score) <= TIE and abs(item.score - expected.get(item.item_id, edge)) <= TIE
        for item, score in pairs
    )


if __name__ == "__main__":
    main()
