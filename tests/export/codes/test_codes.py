from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.codes.codes import BOOKS, CODES, ItemCodes
from export.errors import BundleError


def made(items: int, splits: int, bits: int, width: int, seed: int = 0) -> ItemCodes:
    random = np.random.default_rng(seed)
    codes = random.integers(0, 1 << bits, size=(items + 1, splits), dtype=np.uint8)
    codes[0] = 0
    return ItemCodes(codes, random.standard_normal((splits, 1 << bits, width), dtype=np.float32))


SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 9), st.sampled_from([8, 4]), st.integers(1, 5))


@given(SHAPES)
def test_partial_scores_sum_to_the_product_with_the_vectors(shape: tuple[int, int, int, int]) -> None:
    table = made(*shape)
    sessions = np.random.default_rng(1).standard_normal((3, table.hidden), dtype=np.float32)
    ids = np.arange(1, table.items + 1)
    partial = table.table(sessions)  # (B, m, 2^b)
    assert partial.shape == (3, table.splits, table.values)
    assert partial.flags.c_contiguous
    summed = sum(partial[:, split][:, table.codes[ids, split]] for split in range(table.splits))
    np.testing.assert_allclose(summed, sessions @ table.vectors(ids).T, rtol=1e-4, atol=1e-4)


@given(SHAPES, st.booleans())
def test_table_saved_and_loaded_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, int, int, int], mmap: bool
) -> None:
    table, folder = made(*shape), tmp_path_factory.mktemp("codes")
    table.save(folder)
    loaded = ItemCodes.load(folder, items=table.items, mmap=mmap)
    np.testing.assert_array_equal(loaded.codes, table.codes)
    np.testing.assert_array_equal(loaded.books, table.books)
    assert (loaded.items, loaded.splits, loaded.code_bits) == shape[:3]
    written = (folder / CODES).stat().st_size + (folder / BOOKS).stat().st_size
    assert 0 <= written - table.file_bytes <= 2 * 128  # the headers


def test_padding_has_no_vector_whatever_the_books_hold() -> None:
    assert not made(3, 2, 8, 4).vectors(np.array([0, 0])).any()


def test_eight_bit_codes_stay_in_the_file(tmp_path: Path) -> None:
    made(3, 2, 8, 4).save(tmp_path)
    assert isinstance(ItemCodes.load(tmp_path).codes, np.memmap)


CODES_8, BOOKS_8 = np.zeros((4, 2), np.uint8), np.zeros((2, 256, 3), np.float32)


@pytest.mark.parametrize(
    ("codes", "books", "what"),
    [
        (CODES_8.astype(np.int64), BOOKS_8, "codes must be uint8"),
        (CODES_8[0], BOOKS_8, "codes must be uint8"),
        (CODES_8[:1], BOOKS_8, "codes must be uint8"),
        (np.zeros((4, 3), np.uint8), BOOKS_8, "3 codes, but there are 2 books"),
        (np.full((4, 2), 16, np.uint8), BOOKS_8[:, :16], "a code is 16"),
        (np.ones((4, 2), np.uint8), BOOKS_8, "padding"),
        (CODES_8, BOOKS_8.astype(np.float64), "books must be float32"),
        (CODES_8, BOOKS_8[:, :, :0], "books must be float32"),
        (CODES_8, BOOKS_8[:, :100], "has 100 sub-vectors"),
        (CODES_8, np.full_like(BOOKS_8, np.inf), "not finite"),
        (CODES_8, np.full_like(BOOKS_8, -3e38), "up to 3.0e\\+38"),
    ],
)
def test_codes_and_books_that_are_no_table_are_refused(codes: np.ndarray, books: np.ndarray, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        ItemCodes(codes, books)


def spoil(folder: Path, what: str) -> None:
    path = folder / (BOOKS if "books" in what else CODES)
    if "missing" in what:
        path.unlink()
    elif "truncated" in what:
        path.write_bytes(path.read_bytes()[:-7])
    elif "pickled" in what:
        np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    elif "archive" in what:
        with path.open("wb") as file:
            np.savez(file, CODES_8)
    elif "no number" in what:
        np.save(path, np.array(3.0))
    else:
        path.write_bytes(what.encode())


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("name", ["codes", "books"])
@pytest.mark.parametrize("how", ["missing", "truncated", "pickled", "archive", "no number", "text"])
def test_files_that_are_damaged_are_refused(tmp_path: Path, bits: int, name: str, how: str) -> None:
    made(5, 3, bits, 2).save(tmp_path)
    spoil(tmp_path, f"{how} {name}")
    with pytest.raises(BundleError) as error:
        ItemCodes.load(tmp_path)
    assert error.value.reason == "bad_codes"


@pytest.mark.parametrize("bits", [8, 4])
def test_codes_of_another_vocabulary_are_refused(tmp_path: Path, bits: int) -> None:
    made(5, 3, bits, 2).save(tmp_path)
    with pytest.raises(BundleError, match="codes of 5 items; the vocabulary has 6"):
        ItemCodes.load(tmp_path, items=6)


def test_packed_codes_of_a_split_that_is_not_there_are_refused(tmp_path: Path) -> None:
    made(5, 3, 4, 2).save(tmp_path)
    packed = np.load(tmp_path / CODES)
    packed[2, 1] |= 0x10
    np.save(tmp_path / CODES, packed)
    with pytest.raises(BundleError, match="more than 3 codes"):
        ItemCodes.load(tmp_path)
