"""Vector instructions of the dense scan: what the items of a block add to the sum of a session's softmax.

Numba has no vectors, so this is written in LLVM's terms.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from export.dense.products import BLOCK, FEATURES, _every, _function, _halved, _load

__all__ = ["mass"]

_LANES = 16
_WHOLE, _FLOAT = ir.VectorType(ir.IntType(32), _LANES), ir.VectorType(ir.FloatType(), _LANES)
# 2^f for f of 0 to 1, least squares of the relative error: 1.4e-4 at most, 2e-9 on average
_POWERS = (0.07782319516006876, 0.2258680621922189, 0.6961723871930515, 0.9998636483258372)
_MOST, _LEAST = 126.0, -126.0  # exponents of fp32
_SCALES = {"+avx512f", "+avx512dq"} <= FEATURES
_DOWN, _AS_SET, _ALL = 9, 4, -1  # of AVX-512: round to what is below, or as the processor is set; all lanes


@intrinsic  # type: ignore[untyped-decorator]
def mass(context: Any, sums: Any, factors: Any, zero: Any, unit: Any) -> Any:
    """Return the sum over a block's items of 2^(s (sum - zero) unit), in one order on all processors.

    sums int32 (64,) and factors float32 (3, 64), of which s is the first row, are addresses.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        sums, factors, zero, unit = arguments
        zeros, units = _every(builder, zero, _LANES), _every(builder, unit, _LANES)
        total = ir.Constant(_FLOAT, None)
        for first in range(0, BLOCK, _LANES):
            whole = builder.sitofp(builder.sub(_load(builder, sums, 4 * first, _WHOLE), zeros), _FLOAT)
            score = builder.fmul(builder.fmul(_load(builder, factors, 4 * first, _FLOAT), whole), units)
            total = builder.fadd(total, _power(builder, score))
        return _halved(builder, total)

    return types.float32(types.intp, types.intp, types.int32, types.float32), generate


def _power(builder: Any, exponent: Any) -> Any:
    """Return 2^exponent, of what lies outside of -126 to 126 about that of the limit, or what fp32 has of it."""
    if _SCALES:
        mask, how = ir.Constant(ir.IntType(_LANES), _ALL), ir.Constant(_WHOLE.element, _AS_SET)
        kinds = [_FLOAT, _WHOLE.element, _FLOAT, mask.type, how.type]
        above = _function(builder, "llvm.x86.avx512.mask.reduce.ps.512", _FLOAT, kinds)
        rest = builder.call(above, [exponent, ir.Constant(how.type, _DOWN), exponent, mask, how])
        scale = _function(builder, "llvm.x86.avx512.mask.scalef.ps.512", _FLOAT, [*[_FLOAT] * 3, mask.type, how.type])
        return builder.call(scale, [_fraction(builder, rest), exponent, exponent, mask, how])
    for within, limit in (("<", _MOST), (">", _LEAST)):
        inside = builder.fcmp_ordered(within, exponent, _constant(limit))
        exponent = builder.select(inside, exponent, _constant(limit))
    below = builder.call(_function(builder, f"llvm.floor.v{_LANES}f32", _FLOAT, [_FLOAT]), [exponent])
    found = _fraction(builder, builder.fsub(exponent, below))
    raised = builder.shl(builder.fptosi(below, _WHOLE), ir.Constant(_WHOLE, [23] * _LANES))
    return builder.bitcast(builder.add(builder.bitcast(found, _WHOLE), raised), _FLOAT)


def _fraction(builder: Any, rest: Any) -> Any:
    """Return 2^rest of what lies between 0 and 1."""
    fused = _function(builder, f"llvm.fma.v{_LANES}f32", _FLOAT, [_FLOAT] * 3)
    found = _constant(_POWERS[0])
    for power in _POWERS[1:]:
        found = builder.call(fused, [found, rest, _constant(power)])
    return found


def _constant(value: float) -> Any:
    return ir.Constant(_FLOAT, [value] * _LANES)
