"""Vector instructions of the dense scan: what the items of a block add to the sum of a session's softmax.

Numba has no vectors, so this is written in LLVM's terms.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from export.dense.products import BLOCK, _every, _function, _halved, _load

__all__ = ["mass"]

_LANES = 16
_INT, _FLOAT = ir.VectorType(ir.IntType(32), _LANES), ir.VectorType(ir.FloatType(), _LANES)
# 2^f for f of -.5 to .5, least squares of the relative error: 8e-5 at most, 5e-6 on average
_POWERS = (0.055088692107758866, 0.24260411198270898, 0.6932762458566013, 0.999928936809934)
_WHOLE = 12582912.0  # 1.5 x 2^23: what is added to it is rounded, and its lowest bits are that whole number
_MOST, _LEAST = 126.0, -126.0  # exponents of fp32


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
            whole = builder.sitofp(builder.sub(_load(builder, sums, 4 * first, _INT), zeros), _FLOAT)
            score = builder.fmul(builder.fmul(_load(builder, factors, 4 * first, _FLOAT), whole), units)
            total = builder.fadd(total, _power(builder, score))
        return _halved(builder, total)

    return types.float32(types.intp, types.intp, types.int32, types.float32), generate


def _power(builder: Any, exponent: Any) -> Any:
    """Return 2^exponent, of what lies outside of -126 to 126 that of the limit."""
    for within, limit in (("<", _MOST), (">", _LEAST)):
        inside = builder.fcmp_ordered(within, exponent, _constant(limit))
        exponent = builder.select(inside, exponent, _constant(limit))
    fused = _function(builder, f"llvm.fma.v{_LANES}f32", _FLOAT, [_FLOAT] * 3)
    moved = builder.fadd(exponent, _constant(_WHOLE))
    rest = builder.fsub(exponent, builder.fsub(moved, _constant(_WHOLE)))
    found = _constant(_POWERS[0])
    for power in _POWERS[1:]:
        found = builder.call(fused, [found, rest, _constant(power)])
    raised = builder.shl(builder.bitcast(moved, _INT), ir.Constant(_INT, [23] * _LANES))
    return builder.bitcast(builder.add(builder.bitcast(found, _INT), raised), _FLOAT)


def _constant(value: float) -> Any:
    return ir.Constant(_FLOAT, [value] * _LANES)
