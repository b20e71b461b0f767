"""Whether two engines gave the same answer, cell by cell and in order.

Tolerance: text, integers, dates and booleans must be equal. Where one side is a decimal of scale s (the
standard's decimal average and quotient, which Trino rounds to s places) and the other is not, they may differ by
half a unit of the last place; two floating-point numbers by 1e-9 of their size.
"""

import datetime as dt
import decimal

import pyarrow as pa

RELATIVE = 1e-9


def difference(left: pa.Table, right: pa.Table) -> str | None:
    """The first difference in words, or None."""
    if left.num_columns != right.num_columns:
        return f"{left.num_columns} columns against {right.num_columns}"
    if left.num_rows != right.num_rows:
        return f"{left.num_rows} rows against {right.num_rows}"
    for name, a, b in zip(left.column_names, left.columns, right.columns):
        for row, (x, y) in enumerate(zip(a.to_pylist(), b.to_pylist())):
            if not same(x, y):
                return f"row {row + 1}, column {name}: {x!r} against {y!r}"
    return None


def same(x, y) -> bool:
    if x is None or y is None:
        return x is y
    if isinstance(x, (dt.date, dt.datetime, str, bytes, bool)):
        return x == y
    scales = [-value.as_tuple().exponent for value in (x, y) if isinstance(value, decimal.Decimal)]
    if len(scales) == 2:
        # Sums of decimals are exact on both sides; a quotient or an average is rounded to the smaller scale.
        return abs(x - y) * 2 <= decimal.Decimal(10) ** -min(scales) if scales[0] != scales[1] else x == y
    if isinstance(x, int) and isinstance(y, int):
        return x == y
    a, b = float(x), float(y)
    allowed = RELATIVE * max(abs(a), abs(b))
    if scales:
        allowed = max(allowed, 0.5000001 * 10.0 ** -scales[0])
    return abs(a - b) <= allowed
