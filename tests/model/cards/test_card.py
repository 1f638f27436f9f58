"""The card says what a training was, by its numbers; Markdown holds nothing that the values do not."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from export.bundle.bundle import TOWER
from export.bundle.manifest import FileEntry, Lineage, Manifest, Refit, TrainingWindow
from model.cards.card import curves_of, described, model_card
from model.cards.markdown import markdown, sparkline
from model.cards.measure import Measured
from model.presets import preset
from model.settings import with_settings
from tests.model.tiny import tiny_log

FIGURES = {"recall@20": 0.5, "mrr@20": 0.25, "predictions": 60.0, "sessions_per_s": 100.0}
BASELINES = {"popularity": {"recall@20": 0.1, "mrr@20": 0.02}, "vmis-knn": {"recall@20": 0.45, "mrr@20": 0.24}}


def manifest(refit: Refit | None = None, **lineage: Any) -> Manifest:
    chosen = with_settings(preset("tron-fast"), {"dropout": 0.4})
    return Manifest(
        created_ts=1_700_000_000_000,
        preset="tron-fast",
        config=chosen.override(threads=1).to_dict(),
        items=40,
        window=50,
        k_max=40,
        training=TrainingWindow(first_ts=0, last_ts=1, sessions=1, clicks=2),
        valid={},
        baselines=BASELINES,
        parity={},
        libraries={"torch": "2"},
        lineage=Lineage(code="1.2", commit="abcdef0123456789", refit=refit, **lineage),
    )


def card_of(one: Manifest, **more: Any) -> dict[str, Any]:
    groups = {"repeats": {"without": {"predictions": 50.0, "share": 0.8, "recall@20": 0.4, "mrr@20": 0.2}}}
    measured = Measured(figures=FIGURES, sessions=20, groups=groups, intervals={"recall@20": (0.45, 0.55)})
    learned, held_out = tiny_log(100), tiny_log(20, seed=1)
    history = [{"epoch": 1.0, "loss": 4.0, **FIGURES}]
    given: dict[str, Any] = {"unknown_clicks": 7, "curves": curves_of(history), "min_support": 3, **more}
    return model_card(one, learned=described(learned), held_out=described(held_out), measured=measured, **given)


def test_described_log_is_by_its_clicks() -> None:
    log = tiny_log(50)
    found = described(log)
    assert (found["sessions"], found["clicks"]) == (log.sessions, log.clicks)
    assert found["items"] == len(np.unique(log.items))
    repeats = sum(int(np.count_nonzero(np.diff(log.session(s)) == 0)) for s in range(log.sessions))
    assert found["repeats_share"] == pytest.approx(repeats / (log.clicks - log.sessions), abs=1e-4)
    assert found["longest_session"] == log.lengths.max()


def test_card_has_data_settings_figures_and_limits() -> None:
    card = card_of(manifest(), left_out={"co-occurrence": "slow"})
    assert card["settings"]["changed"] == {"encoder.dropout": 0.4}
    assert card["data"]["held_out_share"] == pytest.approx(20 / 120, abs=1e-4)
    assert card["figures"]["baselines"] == BASELINES
    assert card["figures"]["verdict"].startswith("the model beats every baseline (not asked: co-occurrence)")
    limits = "\n".join(card["limits"])
    for text in ("7 held-out clicks are in no figure", "fewer than 3 clicks", "were not learned", "0.4500 and 0.5500"):
        assert text in limits, limits
    assert "the gate's" not in limits


def test_card_says_that_nothing_was_trained() -> None:
    assert any("No step was trained" in line for line in card_of(manifest(), training={"epochs": 0.0})["limits"])
    assert not any("No step" in line for line in card_of(manifest(), training={"epochs": 0.2})["limits"])


def test_card_says_where_lists_begin_with_what_sessions_hold() -> None:
    led = msgspec.structs.replace(manifest(), afterwards={"last": 6.0, "seen": 4.0})
    assert any("--exclude seen" in line for line in card_of(led)["limits"])
    assert not any("--exclude seen" in line for line in card_of(manifest())["limits"])


@pytest.mark.parametrize(
    ("refit", "said"),
    [
        (Refit(refitted=True, how="scratch", overlap=0.8), "learned the held-out sessions too (scratch)"),
        (Refit(refitted=True, how="scratch", longer=2.04), "They learned 2.0 times as long"),
        (Refit(refitted=False, why="too far off"), "A refit was tried and not published: too far off"),
    ],
)
def test_card_says_which_weights_the_figures_are_of(refit: Refit, said: str) -> None:
    assert any(said in line for line in card_of(manifest(refit))["limits"])


def test_card_says_what_becomes_of_a_new_item() -> None:
    plain, towered = manifest(), msgspec.structs.replace(manifest(), files={TOWER: FileEntry(sha256="", bytes=1)})
    said = ["\n".join(card_of(one)["limits"]) for one in (plain, towered)]
    assert all("closed at 40 items" in text for text in said)
    assert ["its attributes are known" in text for text in said] == [False, True]


def test_card_of_a_trainer_says_that_its_figures_are_the_gates() -> None:
    assert any("the gate's" in line for line in card_of(manifest(cycle="c-1"))["limits"])


def test_curves_are_thinned_and_hold_no_nan() -> None:
    lines = [{"stage": "train", "member": "1/2", "step": n, "loss": 5 - n / 1000} for n in range(1000)]
    lines += [{"stage": "train", "step": 1, "loss": None}, {"stage": "validate", "epoch": 2, "step": 9, "loss": None}]
    found = curves_of(lines)
    assert found["loss"].keys() == {"1/2"}
    assert len(found["loss"]["1/2"]) == 200
    assert found["validations"] == [{"epoch": 2, "step": 9, "loss": None}]


def test_markdown_shows_every_part() -> None:
    lines = [{"stage": "train", "step": n, "loss": 5 - n / 10} for n in range(20)]
    shown = markdown(card_of(manifest(), curves=curves_of(lines), training={"seconds": 3.5}))
    for text in (
        "# Model card: tron-fast",
        "nextclick 1.2 (abcdef012345)",
        "| **this model** | 0.5000 | 0.2500 |",
        "| vmis-knn | 0.4500 | 0.2400 |",
        "| repeats | without | 50 | 80.0% | 0.4000 | 0.2000 |",
        "`encoder.dropout` = 0.4",
        "seconds 3.5",
        "loss, 5.000 to 3.100: `█",
        "## Limits",
    ):
        assert text in shown, shown


def test_sparkline_goes_from_low_to_high() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([1, 1]) == "▁▁"
    assert sparkline([1]) == ""
    assert len(sparkline(list(range(1000)))) <= 60


def test_card_tells_what_stands_behind_the_network() -> None:
    record = {"share": 0.3, "newest": 4, "predictions": 900, "before": 0.5, "bias_gain": 0.0, "counts_gain": 0.01}
    card = card_of(msgspec.structs.replace(manifest(), afterwards=record))
    assert card["afterwards"] == record
    assert "Behind the network: counts of 4 clicks weigh 0.3 (+0.0100)" in markdown(card)
    assert "Behind the network" not in markdown(card_of(manifest()))
