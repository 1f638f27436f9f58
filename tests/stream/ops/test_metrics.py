"""The worker's figures."""

from stream.ops.metrics import STAGES, Metrics


def test_metrics_rendered_have_what_the_operator_watches() -> None:
    metrics = Metrics()
    metrics.clicks.inc(3)
    metrics.reject("not_json")
    metrics.observe("rank", 0.003)
    metrics.observe("total", -5.0)
    metrics.set_model("7", "default", "ab")
    metrics.set_lag({0: 5})
    text = metrics.render().decode()
    for line in (
        "nextclick_clicks_total 3.0",
        'nextclick_rejected_total{reason="not_json"} 1.0',
        'nextclick_latency_seconds_count{stage="rank"} 1.0',
        'nextclick_latency_seconds_sum{stage="total"} 0.0',
        'nextclick_model_info{sha256="ab",variant="default",version="7"} 1.0',
        'nextclick_lag_clicks{partition="0"} 5.0',
        "nextclick_fallbacks_total 0.0",
    ):
        assert line in text.splitlines()
    assert all(f'stage="{stage}"' in text for stage in STAGES)


def test_metrics_partition_given_away_has_no_lag_left() -> None:
    metrics = Metrics()
    metrics.set_lag({0: 5, 1: 6})
    metrics.set_lag({1: 7})
    assert 'partition="0"' not in metrics.render().decode()
    assert metrics.registry.get_sample_value("nextclick_partitions") == 1


def test_metrics_model_swapped_shows_the_new_one_only() -> None:
    metrics = Metrics()
    metrics.set_model("7", "default", "ab")
    metrics.set_model("8", "default", "cd")
    assert 'version="7"' not in metrics.render().decode()
    assert metrics.registry.get_sample_value("nextclick_model_swaps_total") == 2


def test_metrics_of_two_workers_in_a_process_are_apart() -> None:
    first, second = Metrics(), Metrics()
    first.clicks.inc()
    assert second.registry.get_sample_value("nextclick_clicks_total") == 0
