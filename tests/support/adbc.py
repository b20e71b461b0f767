"""Queries through the ADBC Flight SQL driver, and what its errors say."""

import re

import adbc_driver_flightsql.dbapi as flightsql

# The driver ends its messages with the gRPC status and the call: `... (NotFound; ExecuteQuery)`
# or `... (DeadlineExceeded; DoGet: endpoint 0: [])`.
GRPC_STATUS = re.compile(r"\((\w+); [^()]+\)\s*\Z")


def connect(uri: str, user: str | None = None, password: str | None = None, **options: str):
    """A DB-API connection; autocommit, as meesh has no transactions over several statements."""
    keys = dict(options)
    if user is not None:
        keys |= {"username": user, "password": password or ""}
    return flightsql.connect(uri, db_kwargs=keys, autocommit=True)


def fetch(uri: str, sql: str, **login):
    """The whole result as an Arrow table, over a connection of its own."""
    with connect(uri, **login) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetch_arrow_table()


def rows(uri: str, sql: str, **login) -> list[tuple]:
    with connect(uri, **login) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def status_and_message(error: Exception) -> tuple[str, str]:
    """The gRPC status of an ADBC error, and what meesh said."""
    text = str(error)
    found = GRPC_STATUS.search(text)
    message = GRPC_STATUS.sub("", text).strip()
    # Before it stands the driver's own name of the status: `NOT_FOUND: [FlightSQL] `.
    message = re.sub(r"\A[A-Z_]+: (\[FlightSQL\] )?", "", message)
    return (found.group(1) if found else "Unknown"), message
