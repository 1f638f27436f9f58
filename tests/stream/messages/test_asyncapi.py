"""The AsyncAPI document is that of the code, its examples are messages, and AsyncAPI's own parser takes it."""

import json
import os
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from bench.rig.brokers.base import BrokerMissing
from bench.rig.node import node_folder
from stream.messages.asyncapi import asyncapi_document, asyncapi_text
from stream.messages.contract import Source
from stream.messages.erasures import ErasedLists, erased_headers
from stream.messages.schema import SCHEMAS
from stream.topic_names import Topics

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema comes with the extra dev")
PUBLISHED = Path(__file__).parents[3] / "docs" / "asyncapi.json"


def test_the_document_published_is_that_of_the_code() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == asyncapi_text(), (
        "stale: run `python -m stream.messages.asyncapi docs/asyncapi.json`"
    )


def test_every_topic_and_every_message_is_in_it() -> None:
    document = asyncapi_document(Topics.named({"clicks": "shop.views"}, prefix="eu."))
    words = {field.name for field in fields(Topics)} - {"state", "prefix"}  # the state is for workers only
    assert set(document["channels"]) == words
    assert document["channels"]["clicks"]["address"] == "eu.shop.views"
    assert document["channels"]["models"]["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"] == ["compact"]
    messages = document["components"]["messages"]
    places = {message["payload"].get("$ref", "") for message in messages.values()}
    places.add(messages["erasedLists"]["headers"]["properties"]["erased"]["$ref"])
    assert places == {"", *(f"#/components/schemas/{kind.__name__}" for kind in SCHEMAS.values())}


def test_a_session_that_was_erased_has_a_record_without_value_and_says_so_in_a_header() -> None:
    headers = erased_headers(ErasedLists(Source("clicks", 3, 816), 2))
    document = asyncapi_document()
    gone = document["components"]["messages"]["erasedLists"]
    assert gone["payload"]["type"] == "null"
    found = {name: json.loads(value) for name, value in headers}
    jsonschema.validate(found, {**gone["headers"], "components": document["components"]})


def test_examples_are_messages() -> None:
    document = asyncapi_document()
    checked = 0
    for message in document["components"]["messages"].values():
        for example in message.get("examples", ()):
            schema = {**message["payload"], "components": document["components"]}
            jsonschema.validate(example["payload"], schema)
            checked += 1
    assert checked >= 4


@pytest.mark.slow
def test_the_parser_of_asyncapi_takes_it_and_no_broken_one(tmp_path: Path) -> None:
    try:
        folder = node_folder()
    except BrokerMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps({**json.loads(asyncapi_text()), "defaultContentType": 5}))
    words = ["node", "validate.mjs"]
    good = subprocess.run([*words, PUBLISHED], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert good.returncode == 0, good.stdout + good.stderr
    assert f"{len(asyncapi_document()['operations'])} operations" in good.stdout
    bad = subprocess.run([*words, broken], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert bad.returncode == 1, bad.stdout + bad.stderr
