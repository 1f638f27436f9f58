"""Reading what the trainer prints."""

from demo.training import ProgressLines, Trained


def test_progress_before_any_line_is_zero() -> None:
    assert ProgressLines("x", 60.0).progress().share == 0.0


def test_progress_follows_the_steps() -> None:
    lines = ProgressLines("x", 60.0)
    lines.hear("train 37% epoch 1/3 loss 4.2100  812 sessions/s")
    found = lines.progress()
    assert (found.label, found.share, found.detail) == ("x", 0.37, "epoch 1/3 loss 4.2100  812 sessions/s")


def test_progress_follows_the_time_limit_where_it_comes_first() -> None:
    lines = ProgressLines("x", 1e-6)
    lines.hear("train 1% epoch 1/3")
    assert lines.progress().share == 1.0


def test_progress_keeps_the_share_through_other_stages() -> None:
    lines = ProgressLines("x", 60.0)
    lines.hear("train 100% epoch 3/3")
    lines.hear("validate  recall@20 0.5000")
    assert lines.progress().share == 1.0
    assert lines.progress().detail == "validate  recall@20 0.5000"


def test_headline_shows_the_baselines_beside_the_model() -> None:
    trained = Trained("1", 3.0, {"recall@20": 0.5}, {"popularity": {"recall@20": 0.1}, "next-item": {"recall@20": 0.4}})
    assert trained.headline() == "recall@20 0.500 (popularity 0.100, next-item 0.400)"
