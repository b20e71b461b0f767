"""Texts and names made to break out of their quotes: each arrives as it is, and none becomes a statement.

Every statement that the server logs must have a shape that plain texts and names gave as well.
MEESH_TEST_STRINGS is how many texts there are (100000 for a full run).
"""

import os
import random

import psycopg
import pytest
from psycopg import sql

from support.flight_sql import FlightSql
from support.meesh import postgres_catalog, serving
from support.postgres import Postgres
from support.statements import OPTIONS, log_bytes, shape, statements

STRINGS = int(os.environ.get("MEESH_TEST_STRINGS", "10000"))
TABLES, SCHEMAS = 100, 5
NAME_BYTES_MAX = 63
SEED = 20
PIECES = [
    '"; drop table x;--', "'; drop table x;--", "'", "''", "\\'", "\\", "\\\\", "$$", "$a$", "$1", "?", "%s", "{}", "%", "_", '"', '""',
    "\n", "\r\n", "\t", " ", ";", "--", "/*", "*/", "E'", "U&'\\0027'", "\\x27", "::text", ")", "(", "null", "true", "\u2019", "ʼ",
    "\u0085", "\u2028", "\u00a0", "e\u0301", "é", "日本", "🦦", "👩‍👩‍👧", "x" * 64, "é" * 32, "meesh/", "\x01", "\x7f", "\ufeff", "\U0010ffff",
]
# Texts in a statement of each form, and which part of all texts is asked for so.
FORMS = {"IN": (100, 1.0), "VALUES": (100, 1.0), "UNION": (20, 0.2)}


@pytest.fixture(scope="module")
def server():
    postgres = Postgres("injection", OPTIONS)
    try:
        postgres.start().psql("CREATE DATABASE inj; CREATE ROLE meesh_reader LOGIN PASSWORD 'demo'; "
                              "GRANT pg_read_all_data TO meesh_reader")
        # What the texts would drop, if they could: meesh's sessions may not write, but a wrong shape shows that they tried.
        postgres.psql("CREATE TABLE x AS SELECT 1 AS canary", database="inj")
        postgres.psql("CREATE TABLE texts (id int PRIMARY KEY, v text NOT NULL); CREATE INDEX ON texts (v)", database="inj")
        yield postgres
    finally:
        postgres.destroy()


@pytest.fixture(scope="module")
def meesh(server):
    # Within one test, what is known of the tables must not be asked for a second time in another way.
    with serving({"inj": postgres_catalog(server, "inj", **{"metadata.cache-ttl": "1h"})}) as meesh:
        yield meesh


@pytest.fixture(scope="module")
def texts(server) -> dict[str, list[str]]:
    """What is in the table `texts`: strange ones, and plain ones, enough for one statement of each form."""
    found = {"plain": [f"plain {number}" for number in range(1000)], "strange": strange(STRINGS)}
    with psycopg.connect(server.url("inj")) as connection, connection.cursor() as cursor:
        with cursor.copy("COPY texts FROM STDIN") as copy:
            for row in enumerate(found["plain"] + found["strange"]):
                copy.write_row(row)
    return found


def strange(count: int, bytes_max: int = 1000) -> list[str]:
    """Different texts of one to six pieces, also when no letter's case is looked at."""
    chance, found = random.Random(SEED), {}
    while len(found) < count:
        text = "".join(chance.choices(PIECES, k=chance.randint(1, 6))).encode()[:bytes_max].decode(errors="ignore")
        if text:
            found.setdefault(text.lower(), text)
    return list(found.values())


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def named(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def question(form: str, batch: list[str]) -> str:
    """A statement that finds these texts in the table."""
    table, values = "inj.public.texts", [quoted(text) for text in batch]
    match form:
        case "IN":
            return f"SELECT v FROM {table} WHERE v IN ({', '.join(values)})"
        case "VALUES":
            rows = ", ".join(f"({value})" for value in values)
            return f"SELECT t.v FROM {table} t JOIN (VALUES {rows}) AS wanted(v) ON t.v = wanted.v"
        case _:
            return " UNION ALL ".join(f"SELECT v FROM {table} WHERE v = {value}" for value in values)


def column(client: FlightSql, text: str) -> list:
    return client.query(text).column(0).to_pylist()


@pytest.mark.parametrize("form", FORMS)
def test_a_text_arrives_as_it_is(server, meesh, texts, form):
    client, shapes = FlightSql(meesh.uri), {}
    rows, part = FORMS[form]
    for kind, all_texts in texts.items():
        before = log_bytes(server)
        for first in range(0, max(rows, int(len(all_texts) * part)) - rows + 1, rows):
            batch = all_texts[first:first + rows]
            assert sorted(column(client, question(form, batch))) == sorted(batch)
        shapes[kind] = {shape(statement) for statement in statements(server, "meesh_reader", before)}
    client.close()
    assert shapes["plain"] and shapes["strange"] <= shapes["plain"], sorted(shapes["strange"] - shapes["plain"])[:3]


def test_a_name_is_a_name(server, meesh):
    client, shapes = FlightSql(meesh.uri), {}
    count = SCHEMAS + 4 * TABLES
    # Names outside of ASCII are looked up in another way, for their upper case is not PostgreSQL's business.
    plain = [f"{'größe' if number % 3 else 'plain'} {number}" for number in range(count)]
    made = {"plain": make_tables(server, plain),
            "strange": make_tables(server, strange(count, NAME_BYTES_MAX))}
    for kind, tables in made.items():
        before = log_bytes(server)
        for schema, table, key, value, text in tables:
            where = f"inj.{named(schema)}.{named(table)}"
            assert column(client, f"SELECT {named(value)} FROM {where} WHERE {named(key)} = {quoted(text)}") == [text]
            counted = f"SELECT max(a.{named(value)}) AS {named(text)} FROM {where} AS {named(key)}, {where} a " \
                      f"WHERE {named(key)}.{named(key)} = a.{named(key)}"
            answer = client.query(counted)
            assert (answer.column_names, answer.column(0).to_pylist()) == ([text], [text])
        for schema in sorted({row[0] for row in tables}):
            listed = column(client, f"SHOW TABLES FROM inj.{named(schema)}")
            assert sorted(listed) == sorted(table.lower() for of, table, *_ in tables if of == schema)
        shapes[kind] = {shape(statement) for statement in statements(server, "meesh_reader", before)}
    client.close()
    assert shapes["plain"] and shapes["strange"] <= shapes["plain"], sorted(shapes["strange"] - shapes["plain"])[:3]


def make_tables(server: Postgres, names: list[str]) -> list[tuple[str, str, str, str, str]]:
    """Schema, table, two columns, and the text that is in both columns of the table's only row."""
    schemas, rest = names[:SCHEMAS], names[SCHEMAS:]
    made = [(schemas[number % SCHEMAS], *rest[4 * number:4 * number + 4]) for number in range(TABLES)]
    with psycopg.connect(server.url("inj")) as connection:
        for schema in schemas:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        for schema, table, key, value, text in made:
            where, columns = sql.Identifier(schema, table), [sql.Identifier(key), sql.Identifier(value)]
            connection.execute(sql.SQL("CREATE TABLE {} ({} text, {} text)").format(where, *columns))
            connection.execute(sql.SQL("INSERT INTO {} VALUES ({}, {})").format(where, sql.Literal(text), sql.Literal(text)))
    return made


def test_the_canary_lives(server, meesh):
    assert server.psql("SELECT canary FROM x", database="inj") == "1"


def test_the_shape_shows_what_is_outside_the_quotes():
    """Or the tests above could not fail."""
    assert shape("SELECT 'it''s', E'\\'', \"a\"\"b\", 12 FROM t") == "SELECT '?', '?', \"?\", 0 FROM t"
    assert shape("SELECT ''; drop table x;--'") != shape("SELECT 'plain'")
    assert shape("SELECT E'\\\\'; drop table x;--'") != shape("SELECT E'plain'")
