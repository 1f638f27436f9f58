"""Vector instructions of the scan: of 64 items, which have a sum of table entries that is small enough.

A block is 64 items, column by column: byte r of item i stands at 64 r + i. A byte is one code of 8 bits, or two of 4.
Each sum is of unsigned bytes and saturates at 255. What a processor can't do is never compiled: its function says yes
to all 64, and the flags in here tell.

Numba has no vectors, so these are written in LLVM's terms.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

from export.scan.blocks import LANES

__all__ = ["HAS_AVX2", "HAS_VBMI", "lowest", "ones", "passing_nibbles", "passing_permuted", "passing_shuffled"]

_BYTE, _WORD, _INT = ir.IntType(8), ir.IntType(64), ir.IntType(32)
_HALF = 32  # bytes of a register of AVX2
_FEATURES = frozenset(str(get_host_cpu_features()).split(","))
HAS_AVX2 = "+avx2" in _FEATURES
HAS_VBMI = {"+avx512vbmi", "+avx512bw"} <= _FEATURES
_SIGNATURE = types.uint64(types.intp, types.intp, types.intp, types.uint8)
_SHUFFLE = "llvm.x86.avx2.pshuf.b"  # bytes of a register, chosen by 4 bits of each byte of another
_PERMUTE = "llvm.x86.avx512.vpermi2var.qi.512"  # bytes of two registers, chosen by 7 bits


@intrinsic  # type: ignore[untyped-decorator]
def passing_permuted(context: Any, block: Any, tables: Any, rows: Any, limit: Any) -> Any:
    """Return the bits of the items whose sum is at most `limit`, by tables of 256 bytes (rows, 256). AVX-512 VBMI.

    block and tables are addresses; rows: bytes an item has.
    """

    def look_up(builder: Any, codes: Any, table: Any) -> Any:
        vector = codes.type
        permute = _function(builder, _PERMUTE, vector, 3)
        parts = [_load(builder, table, 64 * part, vector) for part in range(4)]
        low = builder.call(permute, [parts[0], codes, parts[1]])
        high = builder.call(permute, [parts[2], codes, parts[3]])
        return builder.select(_signed(builder, codes, 0), high, low)

    return _SIGNATURE, _sums(HAS_VBMI, LANES, 256, lambda builder, codes, table: [look_up(builder, codes, table)])


@intrinsic  # type: ignore[untyped-decorator]
def passing_shuffled(context: Any, block: Any, tables: Any, rows: Any, limit: Any) -> Any:
    """Return what `passing_permuted` does, by sixteen tables of 16 bytes and choices by the upper bits. AVX2."""

    def look_up(builder: Any, codes: Any, table: Any) -> Any:
        low = builder.and_(codes, _every(codes.type, 15))
        found = [_shuffled(builder, table, 16 * part, low) for part in range(16)]
        for shift in (3, 2, 1, 0):  # bits 4 to 7 in turn, where a choice looks: at the sign
            upper = _signed(builder, codes, shift)
            found = [builder.select(upper, found[pair + 1], found[pair]) for pair in range(0, len(found), 2)]
        return found[0]

    return _SIGNATURE, _sums(HAS_AVX2, _HALF, 256, lambda builder, codes, table: [look_up(builder, codes, table)])


@intrinsic  # type: ignore[untyped-decorator]
def passing_nibbles(context: Any, block: Any, tables: Any, rows: Any, limit: Any) -> Any:
    """Return what `passing_permuted` does for bytes of two codes: tables (rows, 2, 16), the lower bits first. AVX2."""

    def look_up(builder: Any, codes: Any, table: Any) -> list[Any]:
        low = _shuffled(builder, table, 0, builder.and_(codes, _every(codes.type, 15)))
        return [low, _shuffled(builder, table, 16, builder.lshr(codes, _every(codes.type, 4)))]

    return _SIGNATURE, _sums(HAS_AVX2, _HALF, 32, look_up)


@intrinsic  # type: ignore[untyped-decorator]
def lowest(context: Any, bits: Any) -> Any:
    """Return the number of the lowest bit that is set; 64 for none."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def ones(context: Any, bits: Any) -> Any:
    """Return how many bits are set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


def _sums(able: bool, width: int, stride: int, look_up: Callable[[Any, Any, Any], list[Any]]) -> Callable[..., Any]:
    """Return what generates the sums of a block, `width` items in a register, tables `stride` bytes apart."""
    vector = ir.VectorType(_BYTE, width)

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        block, tables, rows, limit = arguments
        if not able:
            return ir.Constant(_WORD, -1)
        add = _function(builder, f"llvm.uadd.sat.v{width}i8", vector, 2)
        sums = [cgutils.alloca_once(builder, vector) for _ in range(LANES // width)]
        for one in sums:
            builder.store(ir.Constant(vector, None), one)
        with cgutils.for_range(builder, rows) as loop:
            table = builder.add(tables, builder.mul(loop.index, ir.Constant(_WORD, stride)))
            row = builder.add(block, builder.mul(loop.index, ir.Constant(_WORD, LANES)))
            for part, one in enumerate(sums):
                for value in look_up(builder, _load(builder, row, width * part, vector), table):
                    builder.store(builder.call(add, [builder.load(one), value]), one)
        bits = ir.Constant(_WORD, 0)
        for part, one in enumerate(sums):
            small = builder.icmp_unsigned("<=", builder.load(one), _spread(builder, limit, vector))
            some = builder.bitcast(small, ir.IntType(width))
            some = some if width == LANES else builder.zext(some, _WORD)
            bits = builder.or_(bits, builder.shl(some, ir.Constant(_WORD, width * part)))
        return bits

    return generate


def _function(builder: Any, name: str, vector: Any, arguments: int) -> Any:
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * arguments), name)


def _load(builder: Any, address: Any, offset: int, vector: Any) -> Any:
    pointer = builder.inttoptr(builder.add(address, ir.Constant(_WORD, offset)), vector.as_pointer())
    return builder.load(pointer, align=1, typ=vector)


def _shuffled(builder: Any, table: Any, offset: int, places: Any) -> Any:
    """Return entries of the 16 bytes at `table` + `offset`, which each half of a register has for itself."""
    sixteen = _load(builder, table, offset, ir.VectorType(_BYTE, 16))
    twice = ir.Constant(ir.VectorType(_INT, _HALF), [*range(16), *range(16)])
    both = builder.shuffle_vector(sixteen, sixteen, twice)
    return builder.call(_function(builder, _SHUFFLE, places.type, 2), [both, places])


def _signed(builder: Any, codes: Any, shift: int) -> Any:
    """Return which have the bit 7 - `shift` set."""
    moved = builder.shl(codes, _every(codes.type, shift)) if shift else codes
    return builder.icmp_signed("<", moved, ir.Constant(codes.type, None))


def _every(vector: Any, value: int) -> Any:
    return ir.Constant(vector, [value] * vector.count)


def _spread(builder: Any, value: Any, vector: Any) -> Any:
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(_INT, 0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_INT, vector.count), [0] * vector.count))
