"""Vector instructions of the dense scan: products of bytes, 64 items at a time, and what follows from them.

A block is 64 items: bytes 4 g to 4 g + 3 of item i's vector stand at 256 g + 4 i, unsigned (128 is 0). A session's
bytes are signed. Their products are added up in int32, which they never leave: |sum| <= 255 x 127 x H.

AVX-512 VNNI multiplies and adds four bytes of 16 items at once; AVX2 of 8, by way of sums of two products in 16 bits,
so that a session's bytes are at most 63 there. What a processor can't do is never compiled.

Numba has no vectors, so these are written in LLVM's terms.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

__all__ = [
    "BLOCK",
    "FEATURES",
    "HAS_AVX2",
    "HAS_VNNI",
    "TOGETHER",
    "ask_ahead",
    "exact",
    "paired",
    "paired_one",
    "passing",
    "vnni",
    "vnni_one",
]

BLOCK = 64  # items
TOGETHER = 4  # sessions of one call
FEATURES = frozenset(str(get_host_cpu_features()).split(","))
HAS_AVX2 = "+avx2" in FEATURES
HAS_VNNI = {"+avx512vnni", "+avx512bw"} <= FEATURES

_BYTE, _HALF, _INT, _WORD = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64)
_FLOAT = ir.FloatType()
_SIXTEEN = ir.VectorType(_FLOAT, 16)
_ADDRESS = types.intp
_SUMS = types.void(*[_ADDRESS] * 4)


@intrinsic  # type: ignore[untyped-decorator]
def vnni(context: Any, block: Any, sessions: Any, fours: Any, sums: Any) -> Any:
    """Write sums int32 (4, 64) of a block with bytes (4, 4 x fours) of sessions; all are addresses. AVX-512 VNNI."""
    return _SUMS, _products(HAS_VNNI, 16, TOGETHER, TOGETHER, _by_vnni)


@intrinsic  # type: ignore[untyped-decorator]
def vnni_one(context: Any, block: Any, sessions: Any, fours: Any, sums: Any) -> Any:
    """Write sums int32 (1, 64) of a block with the bytes of one session."""
    return _SUMS, _products(HAS_VNNI, 16, 1, 1, _by_vnni)


@intrinsic  # type: ignore[untyped-decorator]
def paired(context: Any, block: Any, sessions: Any, fours: Any, sums: Any) -> Any:
    """Write what `vnni` does, of sessions whose bytes are -63..63. AVX2."""
    return _SUMS, _products(HAS_AVX2, 8, TOGETHER, 2, _by_pairs)


@intrinsic  # type: ignore[untyped-decorator]
def paired_one(context: Any, block: Any, sessions: Any, fours: Any, sums: Any) -> Any:
    """Write what `vnni_one` does, of a session whose bytes are -63..63. AVX2."""
    return _SUMS, _products(HAS_AVX2, 8, 1, 1, _by_pairs)


@intrinsic  # type: ignore[untyped-decorator]
def passing(context: Any, sums: Any, factors: Any, zero: Any, lost: Any, length: Any, least: Any) -> Any:
    """Return the bits of the items of a block that may score `least` or more.

    sums int32 (64,) and factors float32 (3, 64), addresses: with s, a and b of an item, the most that it may score is
    s (sum - zero) + a lost + b length.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        sums, factors, *own = arguments
        zero, lost, length, least = (_every(builder, value, 16) for value in own)
        bits = ir.Constant(_WORD, 0)
        for first in range(0, BLOCK, 16):
            scale, of_lost, of_length = (
                _load(builder, factors, 4 * (BLOCK * row + first), _SIXTEEN) for row in range(3)
            )
            whole = builder.sub(_load(builder, sums, 4 * first, ir.VectorType(_INT, 16)), zero)
            score = builder.fmul(scale, builder.sitofp(whole, _SIXTEEN))
            rest = builder.fadd(builder.fmul(of_lost, lost), builder.fmul(of_length, length))
            enough = builder.fcmp_ordered(">=", builder.fadd(score, rest), least)
            some = builder.zext(builder.bitcast(enough, _HALF), _WORD)
            bits = builder.or_(bits, builder.shl(some, ir.Constant(_WORD, first)))
        return bits

    numbers = (types.int32, *[types.float32] * 3)
    return types.uint64(_ADDRESS, _ADDRESS, *numbers), generate


@intrinsic  # type: ignore[untyped-decorator]
def exact(context: Any, item: Any, session: Any, width: Any) -> Any:
    """Return the product of two vectors of fp32 by their addresses, in an order that no processor changes.

    Sixteen sums by turns; then upper halves are added to lower ones, until one is left; then what `width` has beyond a
    multiple of sixteen, one after the other. Each product is rounded before it is added.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        item, session, width = arguments
        held = cgutils.alloca_once(builder, _SIXTEEN)
        builder.store(ir.Constant(_SIXTEEN, None), held)
        with cgutils.for_range(builder, builder.lshr(width, ir.Constant(_WORD, 4))) as loop:
            left, right = (_load(builder, _moved(builder, one, loop.index, 64), 0, _SIXTEEN) for one in (item, session))
            builder.store(builder.fadd(builder.load(held), builder.fmul(left, right)), held)
        total = cgutils.alloca_once(builder, _FLOAT)
        builder.store(_halved(builder, builder.load(held)), total)
        whole = builder.and_(width, ir.Constant(_WORD, -16))
        with cgutils.for_range(builder, builder.sub(width, whole)) as loop:
            place = builder.add(whole, loop.index)
            left, right = (_load(builder, _moved(builder, one, place, 4), 0, _FLOAT) for one in (item, session))
            builder.store(builder.fadd(builder.load(total), builder.fmul(left, right)), total)
        return builder.load(total)

    return types.float32(*[_ADDRESS] * 3), generate


@intrinsic  # type: ignore[untyped-decorator]
def ask_ahead(context: Any, address: Any, size: Any) -> Any:
    """Have memory bring what is at an address, so many bytes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        address, size = arguments
        byte = _BYTE.as_pointer()
        fetch = _function(builder, "llvm.prefetch.p0", ir.VoidType(), [byte, _INT, _INT, _INT])
        read, kept, data = (ir.Constant(_INT, value) for value in (0, 3, 1))
        with cgutils.for_range(builder, builder.lshr(size, ir.Constant(_WORD, 6))) as loop:
            builder.call(fetch, [builder.inttoptr(_moved(builder, address, loop.index, 64), byte), read, kept, data])
        return context.get_dummy_value()

    return types.void(_ADDRESS, _ADDRESS), generate


def _products(
    able: bool, lanes: int, sessions: int, at_once: int, add: Callable[[Any, Any, Any, Any], Any]
) -> Callable[..., Any]:
    """Return what generates the sums of a block: of `at_once` sessions and four registers of items at a time."""
    kind = ir.VectorType(_INT, lanes)

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        for first in range(0, sessions if able else 0, at_once):
            for item in range(0, BLOCK, 4 * lanes):
                tile(builder, arguments, first, item)
        return context.get_dummy_value()

    def tile(builder: Any, arguments: Sequence[Any], first: int, item: int) -> None:
        block, bytes_, fours, sums = arguments
        places = [(session, item + lanes * part) for session in range(first, first + at_once) for part in range(4)]
        held = {place: cgutils.alloca_once(builder, kind) for place in places}
        for one in held.values():
            builder.store(ir.Constant(kind, None), one)
        own = [
            builder.add(bytes_, builder.mul(fours, ir.Constant(_WORD, 4 * session)))
            for session in range(first, first + at_once)
        ]
        with cgutils.for_range(builder, fours) as loop:
            row = _moved(builder, block, loop.index, 4 * BLOCK)
            items = {place: _load(builder, row, 4 * place, kind) for place in range(item, item + 4 * lanes, lanes)}
            given = [_load(builder, _moved(builder, one, loop.index, 4), 0, _INT) for one in own]
            every = [_every(builder, four, lanes) for four in given]
            for (session, place), one in held.items():
                builder.store(add(builder, builder.load(one), items[place], every[session - first]), one)
        for (session, place), one in held.items():
            target = builder.add(sums, ir.Constant(_WORD, 4 * (BLOCK * session + place)))
            builder.store(builder.load(one), builder.inttoptr(target, kind.as_pointer()), align=4)

    return generate


def _by_vnni(builder: Any, sums: Any, items: Any, four: Any) -> Any:
    """Return the sums with four products more in each lane."""
    dot = _function(builder, "llvm.x86.avx512.vpdpbusd.512", sums.type, [sums.type] * 3)
    return builder.call(dot, [sums, items, four])


def _by_pairs(builder: Any, sums: Any, items: Any, four: Any) -> Any:
    lanes = sums.type.count
    bytes_, halves = ir.VectorType(_BYTE, 4 * lanes), ir.VectorType(_HALF, 2 * lanes)
    pairs = _function(builder, "llvm.x86.avx2.pmadd.ub.sw", halves, [bytes_] * 2)
    added = _function(builder, "llvm.x86.avx2.pmadd.wd", sums.type, [halves] * 2)
    two = builder.call(pairs, [builder.bitcast(items, bytes_), builder.bitcast(four, bytes_)])
    return builder.add(sums, builder.call(added, [two, ir.Constant(halves, [1] * (2 * lanes))]))


def _halved(builder: Any, vector: Any) -> Any:
    """Return the sum of a vector's numbers."""
    width = vector.type.count
    while width > 1:
        width //= 2
        low, high = (
            builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(_INT, width), [*range(at, at + width)]))
            for at in (0, width)
        )
        vector = builder.fadd(low, high)
    return builder.extract_element(vector, ir.Constant(_INT, 0))


def _function(builder: Any, name: str, result: Any, arguments: Sequence[Any]) -> Any:
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), name)


def _moved(builder: Any, address: Any, index: Any, stride: int) -> Any:
    return builder.add(address, builder.mul(index, ir.Constant(_WORD, stride)))


def _load(builder: Any, address: Any, offset: int, kind: Any) -> Any:
    pointer = builder.inttoptr(builder.add(address, ir.Constant(_WORD, offset)), kind.as_pointer())
    return builder.load(pointer, align=1, typ=kind)


def _every(builder: Any, value: Any, lanes: int) -> Any:
    vector = ir.VectorType(value.type, lanes)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(_INT, 0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_INT, lanes), [0] * lanes))
