"""Expressions whose answers Trino 476 gave: the same type, the same value, the same error code.

`tests/trino/expressions.jsonl` holds what Trino answered, a line each; `tests/trino/differences.tsv` names the
lines that meesh answers otherwise, with the reason. A line that is named there and does agree fails, too.
"""

import base64
import json
import math
import re
from collections import Counter
from pathlib import Path

import adbc_driver_manager as adbc
import pyarrow as pa
import pytest

from support.adbc import connect
from support.meesh import serving

FOLDER = Path(__file__).parents[1] / "trino"


def type_name(data_type: pa.DataType) -> str:
    """Trino's name of an Arrow type, without what Arrow does not carry: lengths, and digits of a second."""
    plain = {pa.bool_(): "boolean", pa.int8(): "tinyint", pa.int16(): "smallint", pa.int32(): "integer",
             pa.int64(): "bigint", pa.float32(): "real", pa.float64(): "double", pa.date32(): "date",
             pa.null(): "unknown"}
    if data_type in plain:
        return plain[data_type]
    if pa.types.is_decimal(data_type):
        return f"decimal({data_type.precision}, {data_type.scale})"
    if pa.types.is_timestamp(data_type):
        return "timestamp with time zone" if data_type.tz else "timestamp"
    if pa.types.is_time(data_type):
        return "time"
    if pa.types.is_interval(data_type) or pa.types.is_duration(data_type):
        return "INTERVAL DAY TO SECOND"
    if pa.types.is_string(data_type) or pa.types.is_large_string(data_type) or data_type == pa.string_view():
        return "varchar"
    if pa.types.is_binary(data_type) or pa.types.is_large_binary(data_type) or data_type == pa.binary_view():
        return "varbinary"
    return str(data_type)


def trino_type(name: str) -> str:
    """The same of a type as Trino wrote it."""
    name = re.sub(r"^varchar\(\d+\)$", "varchar", name)
    return re.sub(r"^(timestamp|time)\(\d+\)", r"\1", name)


def text_of(scalar: pa.Scalar):
    """A value in the form of Trino's JSON; times with all the digits that Arrow keeps."""
    data_type, value = scalar.type, scalar.as_py() if not pa.types.is_temporal(scalar.type) else None
    if not scalar.is_valid:
        return None
    if pa.types.is_floating(data_type):
        if math.isnan(value):
            return "NaN"
        return ("Infinity" if value > 0 else "-Infinity") if math.isinf(value) else value
    if pa.types.is_decimal(data_type):
        return f"{value:f}"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if pa.types.is_interval(data_type):
        months, days, nanos = scalar.as_py()
        millis = days * 86_400_000 + nanos // 1_000_000
        sign, millis = ("-" if millis < 0 else ""), abs(millis)
        seconds, millis = divmod(millis, 1000)
        return f"{sign}{seconds // 86400} {seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{millis:03}"
    if pa.types.is_temporal(data_type):
        return str(scalar.cast(pa.string()))
    return value


def same_value(mine, trinos, name: str) -> bool:
    if isinstance(mine, float) and isinstance(trinos, (int, float)):
        # Sums of doubles depend on their order in the last digits; reals come with nine digits.
        tolerance = 1e-6 if name == "real" else 1e-12
        return math.isclose(mine, trinos, rel_tol=tolerance) or mine == trinos
    if name.startswith(("time", "timestamp")) and isinstance(mine, str) and isinstance(trinos, str):
        mine, trinos = (re.sub(r"(\.\d*?)0+(?=\D|$)", r"\1", text) for text in (mine, trinos))
        mine, trinos = (re.sub(r"\.(?=\D|$)", "", text) for text in (mine, trinos))
        return mine.replace("Z", " UTC") == trinos
    return mine == trinos


def answer(cursor, sql: str):
    """`(type, value)` or `(None, error code)`."""
    try:
        cursor.execute(sql)
        table = cursor.fetch_arrow_table()
    except adbc.Error as error:
        code = {bytes(key).decode(): value for key, value in error.details}.get("x-meesh-error-code", b"").decode()
        return None, code or str(error)
    assert table.num_columns == 1 and table.num_rows == 1, f"{sql}: {table.num_columns} columns, {table.num_rows} rows"
    return type_name(table.schema.types[0]), text_of(table.column(0).combine_chunks()[0])


def difference(cursor, line: dict) -> str | None:
    """How meesh's answer differs from Trino's; None if it does not."""
    mine_type, mine = answer(cursor, line["sql"])
    if "error" in line:
        expected = line["error"]["name"]
        return None if mine_type is None and mine == expected else f"{mine_type} {mine!r} instead of {expected}"
    name = trino_type(line["type"][0])
    trinos = line["value"][0][0]
    if mine_type is None:
        return f"{mine} instead of {name} {trinos!r}"
    if mine_type != name:
        return f"type {mine_type} ({mine!r}) instead of {name} ({trinos!r})"
    return None if same_value(mine, trinos, name) else f"{mine!r} instead of {trinos!r} ({name})"


@pytest.fixture(scope="module")
def cursor():
    with serving({}) as server, connect(server.uri) as connection, connection.cursor() as cursor:
        yield cursor


def test_expressions_are_answered_as_trino_answers_them(cursor):
    lines = [json.loads(line) for line in (FOLDER / "expressions.jsonl").read_text().splitlines()]
    excused = dict(line.split("\t", 1) for line in (FOLDER / "differences.tsv").read_text().splitlines())
    found = {line["sql"]: text for line in lines if (text := difference(cursor, line))}
    unexplained = [f"{sql}: {text}" for sql, text in found.items() if sql not in excused]
    outdated = [sql for sql in excused if sql not in found]
    print(f"{len(lines)} expressions, {len(found)} differ:", dict(Counter(excused.get(sql) for sql in found)))
    assert not unexplained, f"{len(unexplained)} differ:\n" + "\n".join(unexplained)
    assert not outdated, "these agree with Trino and are excused all the same:\n" + "\n".join(outdated)
