"""What the figures mean, and what they should be at scale factor 1 on two cores."""

from typing import NamedTuple


class Figure(NamedTuple):
    """A figure that the report explains."""

    meaning: str
    at_most: float | None = None
    at_least: float | None = None

    def goal(self) -> str:
        if self.at_most is not None:
            return f"≤ {self.at_most:g}"
        return "" if self.at_least is None else f"≥ {self.at_least:g}"

    def met(self, value: float) -> bool | None:
        """None without a goal."""
        if self.at_most is not None:
            return value <= self.at_most
        return None if self.at_least is None else value >= self.at_least


FIGURES = {
    "fed_vs_duckdb": Figure("total time / DuckDB's", at_most=0.8),
    "fed_vs_duckdb_geomean": Figure("geometric mean of the queries' ratios"),
    "fed_vs_duckdb_worst": Figure("the worst query's ratio", at_most=1.3),
    "fed_cpu_vs_duckdb": Figure("CPU seconds / DuckDB's"),
    "fed_meesh_peak_mb": Figure("peak memory of meesh, MB", at_most=200),
    "fed_duckdb_peak_mb": Figure("peak memory of DuckDB, MB"),
    "fed_pg_mb": Figure("bytes that meesh fetched from PostgreSQL for all queries, MB"),
    "fed_failed": Figure("queries that failed in meesh", at_most=0),
    "fed_wrong": Figure("answers that are not DuckDB's", at_most=0),
    "scan_copy_mrows_s": Figure("`psql COPY BINARY > /dev/null`, million rows a second"),
    "scan_1_vs_copy": Figure("one connection, drained in the server / COPY BINARY", at_least=1.2),
    "scan_2_vs_copy": Figure("two connections, drained in the server / COPY BINARY", at_least=2),
    "scan_2_vs_duckdb": Figure("two connections / DuckDB with 2 threads", at_least=1.5),
    "scan_2_vs_adbc": Figure("two connections / ADBC", at_least=3.5),
    "scan_1_flight_vs_drained": Figure("one connection: through Flight / drained", at_least=0.8),
    "scan_2_flight_vs_drained": Figure("two connections: through Flight / drained", at_least=0.8),
    "scan_1_cpu_ns_row": Figure("meesh's CPU, one connection, nanoseconds a row", at_most=150),
    "scan_2_cpu_ns_row": Figure("meesh's CPU, two connections, nanoseconds a row", at_most=150),
    "scan_1_growth_mb": Figure("meesh's peak above idle, one connection, MB", at_most=64),
    "scan_2_growth_mb": Figure("meesh's peak above idle, two connections, MB", at_most=64),
    "scan_1_flight_growth_mb": Figure("the same through Flight, one connection, MB", at_most=64),
    "scan_2_flight_growth_mb": Figure("the same through Flight, two connections, MB", at_most=64),
    "keys_to_pg_worst_of_goal": Figure("keys from S3 to PostgreSQL: the worst time / its goal"),
    "keys_to_lake_worst_of_goal": Figure("keys from PostgreSQL to S3: the worst time / its goal"),
    "keys_to_pg_missed": Figure("keys from S3 to PostgreSQL: how many miss their goal", at_most=0),
    "keys_to_lake_missed": Figure("keys from PostgreSQL to S3: how many miss their goal", at_most=0),
    "one_whole": Figure("queries sent whole, of 22"),
    "one_whole_vs_psql": Figure("total time / psql's, queries sent whole", at_most=1.05),
    "one_vs_psql": Figure("total time / psql's, all queries that both answered"),
    "one_pg_mb": Figure("bytes fetched from PostgreSQL for all queries, MB"),
    "one_failed": Figure("queries that failed in meesh", at_most=0),
    "one_wrong": Figure("answers that are not PostgreSQL's", at_most=0),
    "idle_rss_mb": Figure("memory with three catalogs open, MB; most of it is mapped program", at_most=20),
    "idle_anon_mb": Figure("of it, anonymous (heap and stacks)"),
    "first_row_ms": Figure("exec of `meesh serve` to the first row joined from PostgreSQL and S3 at a Flight client",
                           at_most=150),
    "first_row_cli_ms": Figure("exec of `meesh sql -e` to the same row"),
    "first_row_duckdb_ms": Figure("start of Python with DuckDB to the same row"),
    "first_row_vs_duckdb": Figure("first_row_ms / first_row_duckdb_ms"),
    "select1_p50_ms": Figure("`select 1` through Flight SQL, one client, median", at_most=0.65),
    "select1_p99_ms": Figure("99th percentile"),
    "select1_server_cpu_us": Figure("the server's CPU time for it, microseconds", at_most=150),
}
