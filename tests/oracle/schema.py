"""The tables that the questions are about: every type that can be compared, and awkward values of each.

Three are small; `big` has the same columns, some of the same values among many others, and indexes, so that joining
it to a small one pays by looking keys up.
"""

import datetime as dt
import random
import uuid
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    name: str
    kind: str
    """What the generator takes it for: int, decimal, float, text, date, timestamp, instant, bool, uuid, bytes."""
    declaration: str


KINDS: dict[str, list[str]] = {
    "int": ["0", "1", "-1", "2", "3", "7", "100", "-32768", "32767"],
    "decimal": ["0", "0.01", "-0.01", "1.5", "2.50", "-7.25", "99.99", "1000.00"],
    "float": ["0", "-0", "1.5", "-2.25", "NaN", "Infinity", "-Infinity", "1e300", "0.1"],
    "text": ["", " ", "a", "A", "b", "B", "ä", "Ä", "é", "z", "a ", " a", "ab", "a_b", "100%", "\\", "it's", "日本", "🦦",
             "Zebra", "\"; drop table t0;--"],
    "date": ["1970-01-01", "1969-12-31", "2024-02-29", "0001-01-01", "9999-12-31", "12000-06-01", "1582-10-10"],
    "timestamp": ["1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "2024-02-29 12:00:00.5", "0001-01-01 00:00:00",
                  "9999-12-31 23:59:59.999999"],
    "instant": ["1970-01-01 00:00:00+00", "2024-03-10 02:30:00+05:30", "1969-12-31 23:59:59.999999+00"],
    "bool": ["true", "false"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "12151fd2-7586-11e9-8f9e-2a86e4085a59",
             "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "bytes": ["\\x", "\\x00", "\\x00ff10", "\\xff"],
}

DECLARATIONS = [
    ("i", "int", "integer"), ("s", "int", "smallint"), ("b", "int", "bigint"), ("d", "decimal", "numeric(12,2)"),
    ("e", "decimal", "numeric(20,5)"), ("f", "float", "double precision"), ("r", "float", "real"),
    ("t", "text", 'text COLLATE "en-US-x-icu"'), ("v", "text", "varchar(40)"), ("c", "text", "char(8)"), ("cc", "text", 'text COLLATE "C"'),
    ("en", "text", "mood"), ("dt", "date", "date"), ("ts", "timestamp", "timestamp"), ("tz", "instant", "timestamptz"),
    ("ok", "bool", "boolean"), ("u", "uuid", "uuid"), ("by", "bytes", "bytea"),
]
MOODS = ["sad", "ok", "Happy"]


SMALL = ["t0", "t1", "t2"]
BIG = "big"
ROWS = {**dict.fromkeys(SMALL, 40), BIG: 3000}
INDEXED = ["i", "b", "d", "t", "cc", "c", "dt", "ts", "u", "by"]
# How often a value of the big table is one that the small tables have as well.
SHARED = 0.15
INSERT_ROWS = 100


def tables() -> dict[str, list[Column]]:
    """The last of the small ones has names that must be quoted, one of them as long as a name can be."""
    found = {}
    for table in [*SMALL, BIG]:
        columns = [Column("id", "int", "bigint PRIMARY KEY")]
        for name, kind, declaration in DECLARATIONS:
            if table == SMALL[-1]:
                name = {"i": "select", "t": "Größe", "d": "a.b", "b": "n" * 63}.get(name, name)
            columns.append(Column(name, kind, declaration))
        found[table] = columns
    return found


def literal(value: str) -> str:
    return "E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def script(found: dict[str, list[Column]], chance: random.Random) -> str:
    """The SQL that makes and fills them."""
    lines = [f"CREATE TYPE mood AS ENUM ({', '.join(map(literal, MOODS))});"]
    for table, columns in found.items():
        names = ", ".join(f'"{column.name}" {column.declaration}' for column in columns)
        lines.append(f"CREATE TABLE {table} ({names});")
        rows = [f"({row}, {', '.join(cell(column, table, chance) for column in columns[1:])})" for row in range(ROWS[table])]
        for first in range(0, len(rows), INSERT_ROWS):
            lines.append(f"INSERT INTO {table} VALUES {', '.join(rows[first:first + INSERT_ROWS])};")
        if table == BIG:
            lines += [f'CREATE INDEX ON {table} ("{name}");' for name in INDEXED]
        lines.append(f"ANALYZE {table};")
    return "\n".join(lines)


def cell(column: Column, table: str, chance: random.Random) -> str:
    """A value of the column as a literal of PostgreSQL, sometimes NULL."""
    if chance.random() < 0.15:
        return "NULL"
    if column.declaration == "mood":
        return literal(chance.choice(MOODS))
    shared = table != BIG or chance.random() < SHARED
    value = chance.choice(KINDS[column.kind]) if shared else any_value(column.kind, chance)
    match column.declaration:
        case "real":
            value = value.replace("1e300", "1e30")
        case "char(8)":
            value = value[:8]
        case "smallint":
            value = str(int(value) % 65536 - 32768) if abs(int(value)) > 32767 else value
    return literal(value)


def any_value(kind: str, chance: random.Random) -> str:
    """One of very many values of a kind."""
    moment = dt.datetime(1, 1, 1) + dt.timedelta(microseconds=chance.randrange(9998 * 365 * 86_400_000_000))
    match kind:
        case "int":
            return str(chance.randint(-1_000_000, 1_000_000))
        case "decimal":
            return f"{chance.randint(-10_000_000, 10_000_000) / 100:.2f}"
        case "float":
            return repr(chance.randint(-1_000_000, 1_000_000) / 64)
        case "text":
            return "".join(chance.choices("aAbBäz'\"\\ %_日🦦", k=chance.randint(1, 6)))
        case "date":
            return moment.date().isoformat()
        case "timestamp":
            return moment.isoformat(" ")
        case "instant":
            return moment.isoformat(" ") + "+00"
        case "bool":
            return chance.choice(KINDS["bool"])
        case "uuid":
            return str(uuid.UUID(int=chance.getrandbits(128)))
        case _:
            return "\\x" + chance.randbytes(chance.randint(0, 6)).hex()
