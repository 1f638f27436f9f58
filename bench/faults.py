"""Nothing lost whatever happens: workers, broker, Redis, models and messages fail at random, every answer is checked.

    python -m bench.faults --rounds N --seed S [--guarantee at-least-once|exactly-once] [--first-round R]
                           [--experiment none|split|interleave] [--json]

Real worker processes under a supervisor, on a real broker, under a steady load. In each round one to three faults
strike at random moments (bench/harness/faults.py has them); then every click must be answered, and every session's
state and list be those of a pure fold of the clicks (bench/harness/check.py). The same seed draws the same faults:
`--first-round R --rounds 1` plays round R of it again. Ends with 1 when anything is lost, wrong or unanswered.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from bench.harness.campaign import Campaign, run_campaign
from bench.rig.brokers.base import BrokerMissing
from bench.rig.brokers.jvm import JvmBroker

__all__ = ["main"]


def main() -> int:
    """Play the rounds; the exit code."""
    args = _parse()
    campaign = Campaign(
        rounds=args.rounds,
        seed=args.seed,
        first_round=args.first_round,
        guarantee=args.guarantee,
        rate=args.rate,
        comparing=args.experiment,
    )
    folder = Path(tempfile.mkdtemp(prefix="nextclick-faults-"))
    try:
        broker = JvmBroker()
        broker.start()
    except BrokerMissing as error:
        raise SystemExit(f"no broker to be had: {error}") from error
    try:
        outcome = run_campaign(broker, folder, campaign, _say)
    except BaseException:
        _say(f"logs: {folder}")
        raise
    finally:
        broker.close()
    if outcome.good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        _say(f"rounds {outcome.failed_rounds} failed; logs: {folder}")
    print(json.dumps(outcome.as_json(), indent=None if args.json else 2))
    return 0 if outcome.good else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first-round", type=int, default=0, help="the first to be played, counted from 0")
    parser.add_argument("--guarantee", choices=("at-least-once", "exactly-once"), default="at-least-once")
    parser.add_argument(
        "--experiment",
        choices=("none", "split", "interleave"),
        default="split",
        help="two models in an experiment of 70 %% of the sessions, all the time [split]",
    )
    parser.add_argument("--rate", type=float, default=300.0, help="clicks a second")
    parser.add_argument("--json", action="store_true", help="one line on stdout")
    return parser.parse_args()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
