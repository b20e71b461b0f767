"""TPC-H on one PostgreSQL: what meesh adds when a single database holds everything, beside psql with the same SQL."""

import answers
import peers
import plans
import queries as texts
from engines import Meesh, Psql, Worker
from part import Part, first_line, ratio
from rounds import interleaved
from support.meesh import postgres_catalog
from support.postgres import Postgres

TIMEOUT_S = 120


def measure(postgres: Postgres, queries: dict[str, str], rounds: int) -> Part:
    psycopg = Worker("psycopg", peers.open_psycopg, postgres.port, TIMEOUT_S)
    with Meesh({"pg": postgres_catalog(postgres, "tpch")}) as meesh, Psql(postgres, TIMEOUT_S) as psql, psycopg:
        rows = [compare(meesh, psycopg, name, sql) for name, sql in queries.items()]
        times = interleaved({name: {"meesh": lambda sql=texts.in_one_catalog(sql): meesh.run(sql)[0],
                                    "psql": lambda sql=texts.in_postgres(sql): psql.run(sql)[0]}
                             for name, sql in queries.items()}, rounds)
    for row in rows:
        row |= times.row(row["query"], ["meesh", "psql"])
    return Part(figures(rows), rows)


def compare(meesh, psycopg, query: str, sql: str) -> dict:
    """How meesh plans a query, whether its answer is PostgreSQL's, and how much it fetched for it."""
    row = {"query": query, "whole": False, "here": [], "not_pushed": [], "wrong": None, "pg_bytes": None}
    ours = texts.in_one_catalog(sql)
    try:
        plan = meesh.explain(ours)
        row |= {"here": plans.computed_here(plan), "not_pushed": plans.not_pushed(plan)}
        row["pg_bytes"] = plans.received(meesh.analyzed(ours), "pg")[1]
        row["whole"] = not row["here"]
        row["wrong"] = answers.difference(meesh.run(ours)[1], psycopg.run(texts.in_postgres(sql))[1])
    except Exception as error:
        row["wrong"] = f"failed: {first_line(error)}"
    print(f"{query}  {'DIFFERS: ' + row['wrong'] if row['wrong'] else 'same answer'}, "
          f"{'sent whole' if row['whole'] else 'here: ' + ', '.join(row['here'])}", flush=True)
    return row


def figures(rows: list[dict]) -> dict[str, float]:
    answered = [row for row in rows if not row["failed"]]
    whole = [row for row in answered if row["whole"]]
    named = {
        "one_queries": len(answered),
        "one_whole": sum(row["whole"] for row in rows),
        "one_failed": sum("meesh" in row["failed"] for row in rows),
        "one_wrong": sum(row["wrong"] is not None for row in rows),
        "one_pg_mb": sum(row["pg_bytes"] or 0 for row in rows) / 1e6,
    }
    for name, some in (("one_whole", whole), ("one", answered)):
        if some:
            ours, theirs = (sum(row[f"{engine}_ms"] for row in some) / 1000 for engine in ("meesh", "psql"))
            named |= {f"{name}_meesh_s": ours, f"{name}_psql_s": theirs, f"{name}_vs_psql": ratio(ours, theirs)}
    return named
