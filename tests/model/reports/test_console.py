import io

from rich.console import Console

from model.reports.console import show_progress
from model.reports.progress import Progress


def shown(*reports: Progress) -> list[str]:
    out = io.StringIO()
    with show_progress(Console(file=out, width=300)) as on_progress:
        for report in reports:
            on_progress(report)
    return out.getvalue().splitlines()


def test_console_validation_names_encoder_and_epoch() -> None:
    report = Progress(
        stage="validate", epoch=2, epochs=4, step=9, steps=9, member="1/3", metrics={"recall@20": 0.5}, message="well"
    )
    assert shown(report) == ["validate  encoder 1/3 epoch 2/4  recall@20 0.5000  well"]
    assert shown(Progress(stage="validate", message="3 encoders together", metrics={"mrr@20": 0.5})) == [
        "validate  mrr@20 0.5000  3 encoders together"
    ]


def test_console_shows_what_is_found_and_not_all_that_lists_are_like() -> None:
    figures = {"recall@20": 0.5, "coverage@10": 0.1, "novelty@20": 9.0, "diversity@20": 0.9, "predictions": 7.0}
    report = Progress(stage="baselines", message="vmis-knn", metrics=figures)
    assert shown(report) == ["baselines  vmis-knn  recall@20 0.5000  coverage@10 0.1000"]


def test_console_progress_says_what_is_left() -> None:
    report = Progress(stage="train", epoch=1, epochs=4, step=3, steps=9, done=0.1, loss=4.0, remaining_s=600.0)
    assert shown(report) == ["train 10% epoch 1/4 loss 4.0000  0 sessions/s  10 min left"]
