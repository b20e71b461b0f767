"""Joins that save nothing when PostgreSQL computes them are computed by meesh; the rows are the same in every way."""

import pytest

from support.adbc import connect
from support.meesh import postgres_catalog, serving
from support.postgres import Postgres

TABLES = """
CREATE TABLE people AS SELECT g AS id, (g % 50)::text COLLATE "en-US-x-icu" AS city FROM generate_series(1, 30000) g;
CREATE TABLE orders AS SELECT g AS id, nullif(g % 40000, 5) AS person, g % 97 AS amount, (g % 70)::text COLLATE "C" AS city FROM generate_series(1, 120000) g;
ANALYZE;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO meesh_reader;
"""
GROUPED = "join: grouped into many groups"
SWELLS = "join: its result is larger"
# The question, and why its join is computed here; None if PostgreSQL computes all of it.
QUESTIONS = [
    ("SELECT p.id, count(o.id), sum(o.amount) FROM {people} p LEFT JOIN {orders} o ON o.person = p.id GROUP BY p.id", GROUPED),
    ("SELECT n, count(*) FROM (SELECT p.id, count(o.id) AS n FROM {people} p LEFT JOIN {orders} o ON o.person = p.id "
     "GROUP BY p.id HAVING count(o.id) < 9) x GROUP BY n", GROUPED),
    ("SELECT o.person, count(p.id) FROM {people} p RIGHT JOIN {orders} o ON o.person = p.id WHERE o.amount < 90 GROUP BY o.person",
     GROUPED),
    # Few groups, a join that keeps little, no groups.
    ("SELECT length(p.city), count(*), sum(o.amount) FROM {people} p JOIN {orders} o ON o.person = p.id GROUP BY 1", None),
    ("SELECT o.person, count(*) FROM {people} p JOIN {orders} o ON o.person = p.id WHERE p.id < 300 GROUP BY o.person", None),
    ("SELECT count(*), sum(o.amount) FROM {people} p JOIN {orders} o ON o.person = p.id", None),
    # A column of two collations is the side of a semi join whose rows are made unique.
    ("SELECT DISTINCT length(p.city), p.id FROM {people} p JOIN (SELECT city FROM {orders} UNION ALL SELECT city FROM {people}) u(c) "
     "ON u.c = p.city WHERE p.id < 9", None),
    ("SELECT p.id FROM {people} p WHERE p.id < 90 AND p.city{collate} IN (SELECT coalesce(o.city, q.city){collate} FROM {orders} o JOIN {people} q "
     "ON q.id = o.id)", None),
    ("SELECT p.id, o.id FROM {people} p JOIN {people} o ON p.city = o.city AND p.id < 400", SWELLS),
]


@pytest.fixture(scope="module")
def served():
    postgres = Postgres("joins")
    try:
        postgres.start()
        postgres.psql("CREATE DATABASE shop; CREATE ROLE meesh_reader LOGIN PASSWORD 'demo'")
        postgres.psql(TABLES, database="shop")
        with serving({"pg": postgres_catalog(postgres, "shop")}) as meesh, connect(meesh.uri) as connection:
            yield postgres, connection
    finally:
        postgres.destroy()


@pytest.mark.parametrize("question, reason", QUESTIONS)
def test_rows_are_the_same_wherever_a_join_is_computed(served, question, reason):
    postgres, connection = served
    ours = question.format(people="pg.public.people", orders="pg.public.orders", collate="")
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {ours}")
        plan = "\n".join(line for line, in cursor.fetchall())
        assert plan.count("Sent to pg") == (2 if reason else 1), plan
        assert (reason or "Sent to pg") in plan, plan
        answers = []
        for pushdown in ("true", "false"):
            cursor.execute(f"SET SESSION pushdown_enabled = {pushdown}")
            cursor.execute(ours)
            answers.append(sorted(str([None if value is None else int(value) for value in row]) for row in cursor.fetchall()))
        cursor.execute("SET SESSION pushdown_enabled = true")
    lines = postgres.psql(question.format(people="people", orders="orders", collate=' COLLATE "C"'), database="shop").splitlines()
    expected = sorted(str([int(value) if value else None for value in line.split("|")]) for line in lines)
    assert answers[0] == expected
    assert answers[1] == expected
