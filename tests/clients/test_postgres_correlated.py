"""Groupings that are joined by their keys: read as a whole, or row by row of the other side, as PostgreSQL's planner
finds cheaper. Either way the rows are those of the engine and of psql."""

import pytest

from support import pushdown

TABLES = """
CREATE TABLE many AS SELECT g AS id, nullif(g % 20000, 7) AS k, (g % 11)::text COLLATE "en-US-x-icu" AS t, (g % 13) - 6 AS v
FROM generate_series(1, 200000) g;
CREATE INDEX ON many (k);
CREATE TABLE few AS SELECT g AS id, CASE WHEN g = 3 THEN NULL ELSE g * 1000 + 7 END AS k, (g % 11)::text AS t, g % 5 AS v
FROM generate_series(0, 21) g;
INSERT INTO few SELECT * FROM few WHERE id IN (1, 2);
"""
GROUPED = "(SELECT k, sum(v) AS s, count(*) AS n FROM {many} GROUP BY k) g"
# The question, what its remote SQL has if the grouping is read row by row, and whether it is.
QUESTIONS = [
    (f"SELECT f.id, g.s, g.n FROM {{few}} f JOIN {GROUPED} ON g.k = f.k", "JOIN LATERAL", True),
    (f"SELECT f.id, g.s, g.n FROM {{few}} f LEFT JOIN {GROUPED} ON g.k = f.k AND g.s > 3", "LEFT JOIN LATERAL", True),
    ("SELECT id FROM {few} f WHERE v > (SELECT avg(v) FROM {many} m WHERE m.k = f.k)", "LEFT JOIN LATERAL", True),
    ("SELECT id, (SELECT count(*) FROM {many} m WHERE m.k = f.k) FROM {few} f", "LEFT JOIN LATERAL", True),
    ("SELECT id FROM {few} f WHERE v < ALL (SELECT max(v) FROM {many} m WHERE m.k = f.k AND m.t = f.t)", "EXISTS", True),
    (f"SELECT id FROM {{few}} f WHERE NOT EXISTS (SELECT 1 FROM {GROUPED} WHERE g.k = f.k AND g.s > f.v)", "NOT EXISTS", True),
    (f"SELECT id FROM {{few}} f WHERE k IN (SELECT g.k FROM {GROUPED} WHERE g.n > 9)", "EXISTS", True),
    ("SELECT id FROM {few} f WHERE v + 3 > (SELECT sum(v) FROM {many} m WHERE m.k = f.k AND m.t = f.t)", "EXISTS", True),
    # Every key: one grouping is cheaper than many.
    (f"SELECT m.id % 100, sum(g.s) FROM {{many}} m JOIN {GROUPED} ON g.k = m.k GROUP BY 1", "JOIN LATERAL", False),
    # The third of the groups is another one among fewer.
    ("SELECT f.id, g.r FROM {few} f JOIN (SELECT k, rank() OVER (ORDER BY s, k) AS r FROM "
     "(SELECT k, sum(v) AS s FROM {many} GROUP BY k) x) g ON g.k = f.k", "LATERAL", False),
]


@pytest.fixture(scope="module")
def served():
    with pushdown.served("correlated", TABLES) as both:
        yield both


@pytest.mark.parametrize("question, mark, row_by_row", QUESTIONS)
def test_rows_are_the_same_in_every_way(served, question, mark, row_by_row):
    postgres, connection = served
    ours = question.format(many="pg.public.many", few="pg.public.few")
    plan = pushdown.explained(connection, ours)
    correlated = mark in plan and '"k" = q' in plan
    assert correlated == row_by_row, plan
    expected = pushdown.answer_of_psql(postgres, question.format(many="many", few="few"))
    with_pushdown, without = pushdown.answers(connection, ours)
    assert with_pushdown == expected
    assert without == expected
    assert expected
