from model.reports.beside import Beside, beside, verdict
from model.reports.progress import Progress

BASELINES = {
    "popularity": {"recall@20": 0.1, "mrr@20": 0.02},
    "items-after": {"recall@20": 0.4, "mrr@20": 0.25},
    "vmis-knn": {"recall@20": 0.5, "mrr@20": 0.2},
}


def test_beside_names_the_best_baseline_of_each_measure() -> None:
    said = beside({"recall@20": 0.55, "mrr@20": 0.2}, BASELINES)
    assert said == "Recall@20 +0.0500 beside vmis-knn, MRR@20 -0.0500 beside items-after"
    assert beside({"recall@20": 0.55}, {}) == ""


def test_verdict_of_a_model_above_all_says_by_how_much() -> None:
    said = verdict({"recall@20": 0.55, "mrr@20": 0.3}, BASELINES, {"co-occurrence": "slow"})
    assert said.startswith("the model beats every baseline (not asked: co-occurrence): Recall@20 0.5500 against 0.5000")
    assert "+10.0% of the best, vmis-knn" in said
    assert "+20.0% of the best, items-after" in said


def test_verdict_of_a_model_below_one_says_which_and_what_helps() -> None:
    said = verdict({"recall@20": 0.45, "mrr@20": 0.3}, BASELINES)
    assert "poorer than those of vmis-knn (vmis-knn: Recall@20 0.4500 against 0.5000, -10.0%)" in said
    assert "it beats items-after, popularity" in said
    assert "train longer" in said
    assert "every baseline" not in said
    assert verdict({"recall@20": 0.55, "mrr@20": 0.24}, BASELINES).count("items-after") == 2  # by MRR alone


def test_verdict_of_a_model_on_a_level_with_one_claims_neither() -> None:
    said = verdict({"recall@20": 0.55, "mrr@20": 0.2498}, BASELINES)
    assert said.startswith(
        "the model is level with items-after: MRR@20 0.2498 against 0.2500, -0.1%; it beats vmis-knn"
    )
    assert verdict({"recall@20": 0.55, "mrr@20": 0.2498}, dict(reversed(BASELINES.items()))) == said  # in any order


def test_verdict_without_baselines_is_silent() -> None:
    assert verdict({"recall@20": 0.45}, {}) == ""


def test_beside_is_said_in_validations_alone() -> None:
    seen: list[Progress] = []
    watched = Beside(seen.append, BASELINES)
    watched(Progress(stage="validate", message="2 encoders together", metrics={"recall@20": 0.6}))
    watched(Progress(stage="train", steps=3))
    assert seen[0].message == "2 encoders together; Recall@20 +0.1000 beside vmis-knn"
    assert seen[1] == Progress(stage="train", steps=3)
