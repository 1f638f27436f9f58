"""The published schemas are those of the types, and agree with the decoder."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from stream.errors import BadClick
from stream.messages.contract import Recommendation, Source, decode_click, encode, recommended
from stream.messages.schema import SCHEMAS, schema_text, write_schemas
from tests.stream.messages.test_contract import NOW, near_clicks

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema comes with the extra dev")
PUBLISHED = Path(__file__).parents[3] / "docs" / "schema"
CLICK = json.loads(schema_text("click"))


def test_schemas_published_are_those_of_the_types(tmp_path: Path) -> None:
    for path in write_schemas(tmp_path):
        assert (PUBLISHED / path.name).read_text(encoding="utf-8") == path.read_text(encoding="utf-8"), (
            "stale: run `python -m stream.messages.schema docs/schema`"
        )
    assert {path.stem for path in PUBLISHED.glob("*.json")} == set(SCHEMAS)


@given(near_clicks)
def test_click_schema_takes_every_click_that_the_decoder_takes(click: dict[str, Any]) -> None:
    key = str(click.get("session_id")).encode("utf-8", "surrogatepass")
    try:
        decode_click(json.dumps(click).encode(), key, NOW)
    except BadClick:
        return
    jsonschema.validate(click, CLICK)


def test_recommendation_fits_its_schema() -> None:
    sent = Recommendation("s", recommended([("a", 0.5)]), "1", "default", False, Source("clicks", 0, 1), 1, 2)
    jsonschema.validate(json.loads(encode(sent)), json.loads(schema_text("recommendation")))
