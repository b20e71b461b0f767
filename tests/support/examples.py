"""The files under examples/, and how their expected results are written."""

import csv
import datetime as dt
import decimal
import io
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
LAKE = EXAMPLES / "data" / "lake"
QUERIES = sorted(path.stem for path in (EXAMPLES / "queries").glob("*.sql"))


def cell_text(value) -> str:
    """One cell as expected results have it: NULL is empty, numbers carry no trailing zeros, times are ISO 8601."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (float, decimal.Decimal)):
        text = format(decimal.Decimal(str(value)), "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    return str(value)


def csv_text(names: list[str], rows: list[tuple]) -> str:
    """A whole result as expected results have it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([cell_text(value) for value in row] for row in rows)
    return out.getvalue()


def expected_text(name: str) -> str:
    """The committed result of examples/queries/NAME.sql."""
    return (EXAMPLES / "queries" / f"{name}.expected.csv").read_text(encoding="utf-8")
