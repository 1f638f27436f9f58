"""The hit rates of the demo: model, versions, variants and popularity, on the same clicks."""

import pytest

from demo.comparison import NAME
from demo.hits import HitCounter
from stream.messages.contract import Click, Recommendation, Source, recommended

BEGIN = 1_700_000_000_000


def send(
    hits: HitCounter, offset: int, item: str, shown: str = "", model: str = "1", variant: str = "", session: str = "s"
) -> None:
    """A click, and the list that answers it, which is read before the click's delivery report comes."""
    at_ms = BEGIN + offset
    found = recommended([(one, 1.0) for one in shown])
    experiment = NAME if variant else ""
    source = Source("clicks", 0, offset)
    answer = Recommendation(session, found, model, variant or "default", False, source, 0, at_ms, experiment)
    hits.listed(answer, 0, offset)
    hits.clicked(Click(session, item, at_ms), 0, offset, at_ms)


def test_hits_are_judged_by_the_list_shown_before_the_click() -> None:
    hits = HitCounter(["p"])
    send(hits, 0, "a", "bc")  # no list yet: not judged
    send(hits, 1, "c", "bc")  # hit of the model
    send(hits, 2, "p", "p", model="2")  # hit of popularity
    send(hits, 3, "p", "p", model="2")  # hit of both
    send(hits, 4, "x")
    found = hits.now()
    assert found.model == pytest.approx(2 / 4)
    assert found.popularity == pytest.approx(2 / 4)
    assert found.by_model == {"1": pytest.approx(1 / 2), "2": pytest.approx(1 / 2)}
    assert found.by_variant == {}, "none runs"


def test_variants_of_an_experiment_have_rates_of_their_own_and_an_uplift() -> None:
    hits = HitCounter()
    for offset in range(0, 40, 4):
        for place, variant in enumerate(("newest", "control")):
            for step, item in enumerate("ab" if variant == "newest" or offset % 8 else "ax"):
                send(hits, offset + 2 * place + step, item, "bc", variant=variant, session=f"{variant}{offset}")
    found = hits.now()
    assert found.by_variant == {"control": pytest.approx(0.5), "newest": pytest.approx(1.0)}
    assert list(found.by_variant) == ["control", "newest"]
    assert found.uplift == pytest.approx(1.0)
    assert found.interval is None, "too few sessions"


def test_now_before_anything_is_empty() -> None:
    found = HitCounter(["p"]).now()
    assert (found.model, found.popularity, found.by_model) == (None, None, {})


def test_list_read_before_the_click_was_reported_waits_for_it() -> None:
    hits = HitCounter()
    send(hits, 0, "a", "b")
    source = Source("clicks", 0, 2)
    hits.listed(Recommendation("s", recommended([("c", 1.0)]), "1", "default", False, source, 0, BEGIN + 3), 0, 1)
    hits.clicked(Click("s", "b", BEGIN + 1), 0, 1, BEGIN + 1)
    assert hits.now().model is None, "its answer waits for the click at offset 2"
    hits.clicked(Click("s", "x", BEGIN + 2), 0, 2, BEGIN + 2)
    assert hits.now().model == pytest.approx(1 / 2), "both clicks were judged by the list of the first"
