"""One question about one database, answered with pushdown, without it, and by psql."""

from contextlib import contextmanager

from support.adbc import connect
from support.meesh import postgres_catalog, serving
from support.postgres import Postgres


@contextmanager
def served(name: str, tables: str):
    """A PostgreSQL with `tables` in its database `shop`, and a connection to a meesh that calls it `pg`."""
    postgres = Postgres(name)
    try:
        postgres.start()
        postgres.psql("CREATE DATABASE shop; CREATE ROLE meesh_reader LOGIN PASSWORD 'demo'")
        postgres.psql(f"{tables}; ANALYZE; GRANT SELECT ON ALL TABLES IN SCHEMA public TO meesh_reader", database="shop")
        with serving({"pg": postgres_catalog(postgres, "shop")}) as meesh, connect(meesh.uri) as connection:
            yield postgres, connection
    finally:
        postgres.destroy()


def explained(connection, sql: str) -> str:
    """What EXPLAIN says."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}")
        return "\n".join(line for line, in cursor.fetchall())


def answers(connection, sql: str) -> list[list[str]]:
    """The rows of whole numbers with pushdown and without, in an order of their own."""
    rows = []
    with connection.cursor() as cursor:
        for switch in ("true", "false"):
            cursor.execute(f"SET SESSION pushdown_enabled = {switch}")
            cursor.execute(sql)
            rows.append(sorted(str([None if value is None else int(value) for value in row]) for row in cursor.fetchall()))
        cursor.execute("SET SESSION pushdown_enabled = true")
    return rows


def answer_of_psql(postgres: Postgres, sql: str) -> list[str]:
    """The same rows as psql gives them."""
    lines = postgres.psql(sql, database="shop").splitlines()
    return sorted(str([int(value) if value else None for value in line.split("|")]) for line in lines)
