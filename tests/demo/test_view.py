"""The pictures and lines of the demo, as strings."""

import dataclasses
from dataclasses import replace
from io import StringIO

from rich.console import Console

from demo.hits import Hits
from demo.join import Figures
from demo.spotlight import SpotlightRow
from demo.view import LiveView, PlainView, Snapshot, Training, render

FIGURES = Figures(
    clicks=12_345,
    answered=12_340,
    p50_ms=5.0,
    p99_ms=21.0,
    recent_p50_ms=4.25,
    recent_p99_ms=19.5,
    models=("1", "2"),
    fallbacks=0,
)
SHOPPING = Snapshot(
    seconds=42.0,
    clicks_per_s=299.6,
    figures=FIGURES,
    hits=Hits(model=0.512, popularity=0.081, by_model={"1": 0.5, "2": 0.53}),
    shopper="s0000007",
    rows=(
        SpotlightRow(item="a", hit=None, top=("b", "c"), model="1", number=1),
        SpotlightRow(item="b", hit=True, top=("c", "d"), model="2", number=2),
    ),
    events=("model 2 is in service",),
)


def picture(snapshot: Snapshot, height: int = 50, width: int = 140) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=False)
    console.print(render(snapshot, lambda item: f"item {item}", height, width))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_render_while_shopping_shows_rate_latency_hit_rates_and_shopper() -> None:
    text = picture(SHOPPING)
    for part in ("300", "12,345", "12,340", "4.2", "19.5", "model 2  (serving)", "53.0%", "8.1%", "s0000007"):
        assert part in text
    for part in ("1. item b", "2. item c", "item b  ✓ was in the list", "model 2 is in service"):
        assert part in text


def test_render_while_training_shows_its_step_and_no_figures() -> None:
    text = picture(Snapshot(training=Training(label="version 1", detail="gate: judging popularity")))
    assert "training version 1: gate: judging popularity" in text
    assert "hit rate" not in text


def test_render_before_the_first_answer_shows_dashes() -> None:
    empty = Figures(
        clicks=0, answered=0, p50_ms=None, p99_ms=None, recent_p50_ms=None, recent_p99_ms=None,
        models=(), fallbacks=0,
    )  # fmt: skip
    assert "shopper -" in picture(Snapshot(figures=empty))


def test_render_shows_the_newest_models_of_many() -> None:
    many = replace(FIGURES, models=tuple(str(number) for number in range(1, 31)))
    text = picture(replace(SHOPPING, figures=many))
    assert "model 30  (serving)" in text
    assert "model 27" in text
    assert "model 26" not in text


def test_render_shows_variants_of_an_experiment() -> None:
    hits = Hits(model=0.5, by_variant={"control": 0.31, "newest": 0.47}, uplift=0.516)
    text = picture(replace(SHOPPING, hits=hits))
    for part in ("control: keeps model 1", "31.0%", "newest: now model 2", "47.0%", "newest +51.6% (too few sessions"):
        assert part in text
    sure = picture(replace(SHOPPING, hits=replace(hits, interval=(-0.02, 1.2))))
    assert "newest +51.6% (95%: -2.0% to +120.0%)" in sure


def test_render_on_a_small_terminal_fits() -> None:
    full = replace(
        SHOPPING,
        rows=tuple(SpotlightRow(item="a", hit=True, top=tuple("bcdef"), model="2", number=n) for n in range(6)),
        events=tuple(f"event {number}" for number in range(9)),
        training=Training(label="version 2"),
    )
    compared = Hits(model=0.5, by_variant={"control": 0.31, "newest": 0.47}, uplift=0.516, interval=(-0.02, 1.2))
    usual = picture(replace(full, hits=compared, events=("long " * 30,) * 4), height=24, width=80)
    assert len(usual.splitlines()) <= 24
    for part in ("12,345", "newest: now model 2", "(95%: -2.0% to +120.0%)", "5. item f", "long long"):
        assert part in usual
    assert len(picture(full, height=24).splitlines()) <= 24
    assert len(picture(full, height=40).splitlines()) <= 40
    assert "event 8" in picture(full, height=24)


def test_render_twice_gives_the_same_picture() -> None:
    assert picture(SHOPPING) == picture(SHOPPING)


def test_plain_view_prints_each_event_once_and_figures_now_and_then() -> None:
    out = StringIO()
    with PlainView(Console(file=out, width=200)) as view:
        view.show(SHOPPING)
        view.show(SHOPPING)
    lines = out.getvalue().splitlines()
    assert lines[0] == "model 2 is in service"
    assert len(lines) == 2
    assert "12,345 clicks, 12,340 answered" in lines[1]
    assert "hit rate 51.2% (popularity 8.1%)  model 1, 2" in lines[1]


def test_plain_view_prints_the_last_figures_at_the_end() -> None:
    out = StringIO()
    with PlainView(Console(file=out, width=200)) as view:
        view.show(SHOPPING)
        view.show(dataclasses.replace(SHOPPING, seconds=SHOPPING.seconds + 1.0))
    assert len(out.getvalue().splitlines()) == 3


def test_plain_view_tells_variants_of_an_experiment() -> None:
    out = StringIO()
    hits = Hits(model=0.5, by_variant={"control": 0.31, "newest": 0.47})
    with PlainView(Console(file=out, width=200)) as view:
        view.show(replace(SHOPPING, hits=hits))
    assert "model 1, 2  control 31.0%  newest 47.0%" in out.getvalue()


def test_live_view_draws_on_a_terminal() -> None:
    out = StringIO()
    with LiveView(Console(file=out, width=140, height=50, force_terminal=True), str) as view:
        view.show(SHOPPING)
    assert "12,345" in out.getvalue()
