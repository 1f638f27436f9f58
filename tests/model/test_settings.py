"""`--set key=value`: every field of a preset, by its type, and what is said of a wrong one."""

from dataclasses import fields

import pytest

from export.errors import ConfigError
from model.presets import PRESETS, preset
from model.settings import COMPONENTS, OPTIONS, changed, known_settings, read_settings, with_settings


def test_known_settings_are_all_fields_each_with_what_it_means() -> None:
    names = [one.name for config in COMPONENTS.values() for one in fields(config) if one.name not in OPTIONS]
    assert sorted(known_settings()) == sorted(names)  # no two components share a name
    undocumented = {name for name, one in known_settings().items() if not one.meaning}
    assert undocumented <= {"kind", "layers", "positions", "objective", "rule", "everything", "dropout"}, undocumented
    assert known_settings()["heads"].meaning.startswith("attention heads")


def test_read_settings_has_values_of_the_fields_types() -> None:
    given = ["dropout=.2", "encoder.hidden = 96", "logq=yes", "activation=swiglu", "input-dropout=none", "lazy=false"]
    assert read_settings(given) == {
        "dropout": 0.2,
        "hidden": 96,
        "logq": True,
        "activation": "swiglu",
        "input_dropout": None,
        "lazy": False,
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("zzz=1", r"no such field\. There are encoder"),
        ("dropuot=.2", "did you mean .*dropout.* There are encoder: kind, hidden.*negatives: everything.*--set help"),
        ("dropout", "a field and its value are wanted"),
        ("dropout=much", "dropout is a number"),
        ("hidden=12.5", "hidden is a whole number"),
        ("logq=2", "logq is true or false"),
        ("rule=sgd", "rule is one of adam, adagrad"),
        ("lazy=perhaps", "lazy is true or false, or none"),
        ("train.dropout=.1", "dropout is a field of encoder, not of train"),
        ("seed=3", "it has an option of its own, --seed"),
    ],
)
def test_read_settings_refuses_what_it_cannot_use_and_says_what_it_can(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_settings([text])
    with pytest.raises(ConfigError, match="given twice"):
        read_settings(["lr=1", "train.lr=2"])


def test_with_settings_changes_every_encoder_of_a_committee_and_nothing_else() -> None:
    before = preset("tron+")
    after = with_settings(before, read_settings(["dropout=.4", "top=50", "lr=.001"]))
    assert {one.dropout for one in (after.encoder, *after.committee)} == {0.4}
    assert [one.kind for one in after.committee] == [one.kind for one in before.committee]
    found = changed(after.to_dict(), before.to_dict())
    assert found == {"encoder.dropout": 0.4, "negatives.top": 50, "train.lr": 0.001}
    assert with_settings(before, {}) == before


def test_with_settings_can_set_none() -> None:
    assert with_settings(preset("tron-fast"), {"input_dropout": None}).encoder.input_dropout is None


def test_with_settings_names_what_was_set_where_components_refuse_it() -> None:
    with pytest.raises(ConfigError, match=r"--set heads=3: heads \(3\) must divide hidden \(128\)"):
        with_settings(preset("tron-fast"), {"heads": 3})
    assert with_settings(preset("tron-fast"), {"heads": 3, "hidden": 96}).encoder.hidden == 96
    with pytest.raises(ConfigError, match="own_weight needs a softmax"):
        with_settings(preset("gru4rec+bpr-max"), {"own_weight": 2.0})


def test_every_preset_takes_its_own_values() -> None:
    for name in PRESETS:
        one = preset(name)
        own = {key: getattr(getattr(one, s.component), key) for key, s in known_settings().items()}
        shared = {key: value for key, value in own.items() if known_settings()[key].component != "encoder"}
        assert with_settings(one, shared) == one
