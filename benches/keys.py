"""A few keys on one side of a join, lineitem on the other: does the engine read only what the keys ask for?

The keys are Parquet in S3 and lineitem is in PostgreSQL ("to_pg"), or the other way round ("to_lake"). keysets.py says
which keys. psql with the same keys as an array is what PostgreSQL itself needs; meesh with no key at all is what the
plan costs.
"""

import answers
import keysets
import peers
import plans
from engines import Meesh, Psql, sources
from part import Part, first_line, ratio
from rounds import interleaved

JOIN = """SELECT count(*), sum(l.l_quantity), sum(l.l_extendedprice)
FROM {keys}.{name} k JOIN {lineitem} l ON l.l_orderkey = k.key"""
SIDES = {
    "to_pg": {"keys": "lake.keys", "lineitem": "pg.public.lineitem"},
    "to_lake": {"keys": "pg.keys", "lineitem": "lake.tpch.lineitem"},
}
BY_ARRAY = """SELECT l_orderkey, l_quantity, l_extendedprice FROM lineitem
WHERE l_orderkey = any('{{{keys}}}'::bigint[])"""
# More keys than these nobody would send: the goal is then DuckDB's time.
ARRAY_MAX = 94_000
PSQL_GOAL, ALL_KEYS_GOAL = 1.7, 1.1
TO_LAKE_GOALS = {"clustered": 1.0, "spread": 0.8}


def measure(postgres, s3, scale: str, rounds: int) -> Part:
    files = ["tpch.lineitem", *(f"keys.{name}" for name in keysets.sets(scale))]
    with Meesh(sources(postgres, s3)) as meesh, Psql(postgres) as psql, peers.duckdb(postgres, s3, files) as duckdb:
        table = [row(direction, shape, count, meesh, duckdb)
                 for direction in SIDES for shape in keysets.SHAPES for count in keysets.counts(scale)]
        tasks = {each["task"]: runs(each, meesh, duckdb, psql, scale) for each in table}
        for direction in SIDES:
            empty = join(direction, keysets.EMPTY)
            tasks[f"{direction} {keysets.EMPTY}"] = {"meesh": lambda sql=empty: meesh.run(sql)[0]}
        times = interleaved(tasks, rounds)
    for each in table:
        each |= times.row(each["task"], ["meesh", "duckdb", "psql"])
        each["empty_ms"] = times.row(f"{each['direction']} {keysets.EMPTY}", ["meesh"])["meesh_ms"]
        each["goal_ms"] = goal_ms(each)
    return Part(figures(table), table)


def join(direction: str, name: str) -> str:
    return JOIN.format(name=name, **SIDES[direction])


def row(direction: str, shape: str, count: int, meesh, duckdb) -> dict:
    """Compares the answers, which also warms both engines."""
    name = keysets.name(shape, count)
    sql = join(direction, name)
    try:
        ours, theirs = meesh.run(sql)[1], duckdb.run(sql)[1]
        wrong, analyzed = answers.difference(ours, theirs), meesh.analyzed(sql)
    except Exception as error:
        wrong, analyzed = f"failed: {first_line(error)}", ""
    print(f"{direction} {name}  {'DIFFERS: ' + wrong if wrong else 'same answer'}", flush=True)
    return {"task": f"{direction} {name}", "direction": direction, "shape": shape, "keys": count, "wrong": wrong,
            "pg_bytes": plans.received(analyzed, "pg")[1], "filters": plans.dynamic_filters(analyzed)}


def runs(row: dict, meesh, duckdb, psql, scale: str) -> dict:
    """What to time for a row of the table, by engine."""
    name = keysets.name(row["shape"], row["keys"])
    sql = join(row["direction"], name)
    by_engine = {"meesh": lambda: meesh.run(sql)[0], "duckdb": lambda: duckdb.run(sql)[0]}
    if row["direction"] == "to_pg" and row["keys"] <= ARRAY_MAX:
        array = ",".join(str(keysets.key(number)) for number in keysets.sets(scale)[name])
        by_engine["psql"] = lambda: psql.run(BY_ARRAY.format(keys=array))[0]
    return by_engine


def goal_ms(row: dict) -> float | None:
    """What meesh should stay below; None where the peer failed."""
    if row["direction"] == "to_lake":
        return row["duckdb_ms"] and TO_LAKE_GOALS[row["shape"]] * row["duckdb_ms"]
    if row["keys"] <= ARRAY_MAX:
        return row["psql_ms"] and row["empty_ms"] and row["empty_ms"] + PSQL_GOAL * row["psql_ms"]
    return row["duckdb_ms"] and ALL_KEYS_GOAL * row["duckdb_ms"]


def figures(table: list[dict]) -> dict[str, float]:
    """meesh's time over its goal: the worst of each direction, and how many miss it."""
    named = {}
    for direction in SIDES:
        over = [ratio(row["meesh_ms"], row["goal_ms"]) for row in table if row["direction"] == direction]
        if known := [value for value in over if value is not None]:
            named[f"keys_{direction}_worst_of_goal"] = max(known)
            named[f"keys_{direction}_missed"] = sum(value > 1 for value in known)
    return named
