"""Who is shown which variant: the promised shares, the same one always, independent between experiments."""

import pytest

from export.errors import ConfigError
from export.experiments.experiment import BUCKETS, Experiment, Variant, buckets

SESSIONS = [f"s{number}" for number in range(20_000)]


def experiment(
    name: str = "new-model", *, exposure: int = BUCKETS, shares: tuple[int, ...] = (5_000, 5_000)
) -> Experiment:
    variants = tuple(Variant(f"v{place}", str(place), share=share) for place, share in enumerate(shares))
    return Experiment(name, variants, exposure=exposure)


def test_sessions_keep_their_variant_when_more_are_let_in() -> None:
    few, all_ = experiment(exposure=1_000), experiment()
    shown = {session: few.variant_of(session) for session in SESSIONS}
    assert all(variant in (None, all_.variant_of(session)) for session, variant in shown.items())


def test_shares_are_the_promised_ones() -> None:
    shown = [experiment(exposure=2_000, shares=(7_500, 2_500)).variant_of(session) for session in SESSIONS]
    exposed = [variant.name for variant in shown if variant is not None]
    assert len(exposed) / len(SESSIONS) == pytest.approx(0.2, abs=0.015)
    assert exposed.count("v0") / len(exposed) == pytest.approx(0.75, abs=0.03)


def test_experiments_are_independent() -> None:
    both = sum(buckets("one", session)[1] < 5_000 and buckets("two", session)[1] < 5_000 for session in SESSIONS)
    assert both / len(SESSIONS) == pytest.approx(0.25, abs=0.015)


def test_a_stopped_variant_and_a_stopped_experiment_serve_nobody() -> None:
    variants = (Variant("control", share=5_000), Variant("other", "2", share=5_000, stopped="slow"))
    running = Experiment("one", variants)
    assert {variant.name for s in SESSIONS if (variant := running.variant_of(s))} == {"control"}
    assert not any(Experiment("one", variants, state="stopped").variant_of(session) for session in SESSIONS)


@pytest.mark.parametrize(
    "bad",
    [
        experiment("no name!"),
        experiment(shares=(5_000,)),
        experiment(shares=(5_000, 4_000)),
        experiment(shares=(10_000, 0)),
        experiment(exposure=0),
        Experiment("one", (Variant("a", share=5_000), Variant("a", share=5_000))),
        Experiment("one", (Variant("a", share=5_000), Variant("interleaved", share=5_000))),
        Experiment(
            "one", (Variant("a", share=4_000), Variant("b", share=3_000), Variant("c", share=3_000)), interleave=True
        ),
    ],
)
def test_what_contradicts_itself_is_refused(bad: Experiment) -> None:
    with pytest.raises(ConfigError):
        bad.check()
