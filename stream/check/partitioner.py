"""In which partition a key belongs, by the rules that producers have: Java's murmur2, and librdkafka's CRC32.

Source of murmur2: Austin Appleby, as in org.apache.kafka.common.utils.Utils.murmur2.
"""

import zlib

__all__ = ["crc32_partition", "murmur2", "murmur2_partition"]

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995


def murmur2(data: bytes) -> int:
    """The hash of Kafka's Java clients, 32 bits without sign."""
    length = len(data)
    h = (0x9747B28C ^ length) & _MASK
    for at in range(0, length - length % 4, 4):
        k = int.from_bytes(data[at : at + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    rest = data[length - length % 4 :]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def murmur2_partition(key: bytes, partitions: int) -> int:
    """Of Java's clients, Faust's, and librdkafka's with partitioner=murmur2_random."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def crc32_partition(key: bytes, partitions: int) -> int:
    """Of librdkafka's default, consistent_random."""
    return zlib.crc32(key) % partitions
