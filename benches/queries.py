"""The 22 queries of TPC-H as benches/tpch/ has them: over the catalogs pg and lake."""

from collections.abc import Iterable
from pathlib import Path


def tpch(numbers: Iterable[int]) -> dict[str, str]:
    """Texts by name, `q01` to `q22`."""
    folder = Path(__file__).parent / "tpch"
    return {f"q{number:02}": (folder / f"q{number:02}.sql").read_text() for number in numbers}


def in_one_catalog(sql: str) -> str:
    """The same text with every table in the catalog pg."""
    return sql.replace("lake.tpch.", "pg.public.")


def in_postgres(sql: str) -> str:
    """The same text for PostgreSQL itself, which knows no catalogs."""
    return in_one_catalog(sql).replace("pg.public.", "public.")
