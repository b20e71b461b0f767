"""The tables that the questions are about: every type that can be compared, and awkward values of each."""

import random
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


def tables() -> dict[str, list[Column]]:
    """Three tables; the last has names that must be quoted, one of them as long as a name can be."""
    found = {}
    for number in range(3):
        columns = [Column("id", "int", "bigint PRIMARY KEY")]
        for name, kind, declaration in DECLARATIONS:
            if number == 2:
                name = {"i": "select", "t": "Größe", "d": "a.b", "b": "n" * 63}.get(name, name)
            columns.append(Column(name, kind, declaration))
        found[f"t{number}"] = columns
    return found


def literal(value: str) -> str:
    return "E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def script(found: dict[str, list[Column]], chance: random.Random, rows: int) -> str:
    """The SQL that makes and fills them."""
    lines = [f"CREATE TYPE mood AS ENUM ({', '.join(map(literal, MOODS))});"]
    for table, columns in found.items():
        names = ", ".join(f'"{column.name}" {column.declaration}' for column in columns)
        lines.append(f"CREATE TABLE {table} ({names});")
        for row in range(rows):
            values = [str(row)]
            for column in columns[1:]:
                pool = MOODS if column.declaration == "mood" else KINDS[column.kind]
                value = chance.choice(pool)
                if column.declaration == "real" and value == "1e300":
                    value = "1e30"
                if column.declaration == "char(8)":
                    value = value[:8]
                values.append("NULL" if chance.random() < 0.15 else literal(value))
            lines.append(f"INSERT INTO {table} VALUES ({', '.join(values)});")
        lines.append(f"ANALYZE {table};")
    return "\n".join(lines)
