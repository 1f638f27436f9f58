"""What differs between two versions is named, nested fields by their path, and nothing else."""

import msgspec

from export.bundle.bundle import Bundle
from export.bundle.difference import changed, difference, flat
from export.bundle.manifest import Lineage


def test_changed_names_nested_fields_and_what_only_one_has() -> None:
    before = {"a": {"x": 1, "y": 2}, "b": [1], "gone": None, "same": {}}
    after = {"a": {"x": 1, "y": 3}, "b": [1, 2], "new": "n", "same": {}}
    assert changed(before, after) == {"a.y": [2, 3], "b": [[1], [1, 2]], "new": [None, "n"]}


def test_flat_keeps_empty_mappings() -> None:
    assert flat({"a": {}, "b": {"c": {"d": 1}}}) == {"a": {}, "b.c.d": 1}


def test_difference_of_a_version_to_itself_is_nothing(bundle: Bundle) -> None:
    found = difference(bundle, bundle)
    assert found["items"] == {"added": 0, "removed": 0, "both": len(bundle.vocabulary)}
    assert not any(found[part] for part in ("config", "training", "valid", "lineage", "libraries"))


def test_difference_tells_preset_figures_and_lineage(bundle: Bundle) -> None:
    lineage = Lineage(cycle="c7", parent="1")
    manifest = msgspec.structs.replace(bundle.manifest, preset="other", valid={"recall@20": 0.123}, lineage=lineage)
    other = Bundle(
        path=bundle.path,
        manifest=manifest,
        vocabulary=bundle.vocabulary,
        popularity=bundle.popularity,
        onnx_path=bundle.onnx_path,
        manifest_sha256="",
    )
    found = difference(bundle, other)
    assert found["config"]["preset"] == [bundle.manifest.preset, "other"]
    assert found["valid"]["recall@20"][1] == 0.123
    assert (found["lineage"]["cycle"], found["lineage"]["parent"]) == ([None, "c7"], [None, "1"])
