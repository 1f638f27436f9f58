"""What holds for the configuration of every part."""

import dataclasses
import importlib
import inspect
import re
from typing import Any, get_type_hints

import pytest

from export.errors import ConfigError
from stream.config import StreamConfig
from tests.test_imports import MODULES

GIVEN: dict[str, Any] = {
    "bootstrap_servers": "host:1",
    "registry": "r",
    "store": "s",
    "work": "w",
    "study": "study.db",
    "budget_s": 1.0,
    "uniform": 16,
    "worker": StreamConfig(bootstrap_servers="host:1", registry="r"),
}  # what has no default that goes


def float_fields() -> list[tuple[type[Any], str]]:
    """Every field of a configuration that is a number with a fraction."""
    found = []
    for module in MODULES:
        for name, kind in vars(importlib.import_module(module)).items():
            if not inspect.isclass(kind) or kind.__module__ != module:
                continue
            if module.startswith("cli.") or not name.endswith(("Config", "Options")):
                continue
            hints = get_type_hints(kind)
            fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
            found += [(kind, field.name) for field in fields if re.search(r"\bfloat\b", str(hints[field.name]))]
    return found


FIELDS = float_fields()


def test_there_are_configurations_with_fractions() -> None:
    assert {kind.__name__ for kind, _ in FIELDS} >= {"StreamConfig", "TrainConfig", "DemoConfig", "ShopConfig"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")], ids=str)
@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=lambda part: part if isinstance(part, str) else part.__name__)
def test_numbers_that_are_none_are_refused(kind: type[Any], field: str, value: float) -> None:
    given = {name: text for name, text in GIVEN.items() if name in kind.__dataclass_fields__}
    kind(**given)
    with pytest.raises(ConfigError, match=field):
        kind(**given | {field: value})
