"""Tests of export/errors.py."""

import pickle

import pytest

from export import errors


@pytest.mark.parametrize("name", errors.__all__)
def test_error_of_this_part_hangs_under_the_root(name: str) -> None:
    assert issubclass(getattr(errors, name), errors.NextclickError)


def test_module_exports_every_error_it_defines() -> None:
    defined = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert defined == set(errors.__all__)


@pytest.mark.parametrize("name", errors.__all__)
def test_docstring_tree_names_every_error(name: str) -> None:
    assert name in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError, 2),
        (errors.VersionUnknown, 2),
        (errors.ProviderUnavailable, 2),
        (errors.RegistryMissing, 1),
        (errors.BundleError, 1),
    ],
)
def test_exit_code_tells_wrong_input_from_failure(error: type[errors.NextclickError], code: int) -> None:
    assert error.exit_code == code


def test_bundle_error_pickled_keeps_reason_and_detail() -> None:
    error = pickle.loads(pickle.dumps(errors.BundleError("altered", "model.onnx is another file")))
    assert (error.reason, error.detail) == ("altered", "model.onnx is another file")
    assert "model.onnx" in str(error)
    assert "altered" in str(error)
