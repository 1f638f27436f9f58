"""Records whose header names are no UTF-8: read, where aiokafka stops."""

from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import MemoryRecords, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

__all__ = ["read_any_header_name"]

_MAGIC = 16  # where a batch says which format it has; headers came with the third


def read_any_header_name() -> None:
    """Seam: to Kafka a header's name is bytes. aiokafka decodes it while it iterates, and raises for ever at the same
    record, so that one message would stop its partition. Such a batch is read again by aiokafka's slow code, in Python,
    with U+FFFD in these names."""
    fetcher.MemoryRecords = _KeptRecords
    fetcher.PartitionRecords = _LenientPartitionRecords


class _KeptRecords(MemoryRecords):
    """Keeps the bytes, which the compiled class does not give back."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.content = content


class _LenientPartitionRecords(PartitionRecords):
    """Goes on with lenient batches where a record can't be read."""

    _records: Any

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except (UnicodeDecodeError, CorruptRecordException):  # the latter of the code in Python, for any ValueError
            if isinstance(self._records, _LenientRecords):
                raise
            self._records = _LenientRecords(self._records.content, self.next_fetch_offset)
            self._records_iterator = self._unpack_records()
            return super().__next__()


class _LenientRecords(_MemoryRecordsPy):
    """The batches from the one on that holds `offset`: those before it have been looked at."""

    def __init__(self, content: bytes, offset: int) -> None:
        super().__init__(content)
        while self._next_slice is not None and self._peek().next_offset <= offset:
            self._cache_next()

    def next_batch(self) -> Any:
        batch = self._peek()
        self._cache_next()
        return batch

    def _peek(self) -> Any:
        assert self._next_slice is not None, "asked for after has_next"
        if self._next_slice[_MAGIC] >= 2:
            return _LenientBatch(self._next_slice)
        return _MemoryRecordsPy(bytes(self._next_slice)).next_batch()


class _LenientBatch(_DefaultRecordBatchPy):
    _buffer: Any

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _LenientBytes(self._buffer)


class _LenientBytes(bytearray):
    """What is cut out of it decodes whatever it holds."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _LenientBytes(found) if isinstance(place, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, errors)
