"""The benchmark of formats has a row for each, and reads what it wrote."""

from __future__ import annotations

import pytest

pytest.importorskip("fastavro", reason="fastavro comes with the extra formats")


def test_each_format_is_measured() -> None:
    from bench.costs.formats import measure

    rows = {row.pop("format"): row for row in measure(calls=3)}
    assert list(rows) == ["json, no registry", "json", "avro", "json-schema"]
    assert rows["json-schema"]["click_bytes"] == rows["json"]["click_bytes"] + 5
    assert rows["avro"]["list_bytes"] < rows["json"]["list_bytes"]
