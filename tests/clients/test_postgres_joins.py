"""Joins that save nothing when PostgreSQL computes them are computed by meesh; the rows are the same in every way."""

import pytest

from support import pushdown

TABLES = """
CREATE TABLE people AS SELECT g AS id, (g % 50)::text COLLATE "en-US-x-icu" AS city FROM generate_series(1, 30000) g;
CREATE TABLE orders AS SELECT g AS id, nullif(g % 40000, 5) AS person, g % 97 AS amount, (g % 70)::text COLLATE "C" AS city FROM generate_series(1, 120000) g;
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
    with pushdown.served("joins", TABLES) as both:
        yield both


@pytest.mark.parametrize("question, reason", QUESTIONS)
def test_rows_are_the_same_wherever_a_join_is_computed(served, question, reason):
    postgres, connection = served
    ours = question.format(people="pg.public.people", orders="pg.public.orders", collate="")
    plan = pushdown.explained(connection, ours)
    assert plan.count("Sent to pg") == (2 if reason else 1), plan
    assert (reason or "Sent to pg") in plan, plan
    theirs = question.format(people="people", orders="orders", collate=' COLLATE "C"')
    expected = pushdown.answer_of_psql(postgres, theirs)
    with_pushdown, without = pushdown.answers(connection, ours)
    assert with_pushdown == expected
    assert without == expected
