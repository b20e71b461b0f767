"""Thirty and more ways to go wrong: how each is provoked, and what must come of it.

A case is (name, what to do in words, how to do it, expected status, fragments of the message). The status is that of
gRPC for a statement or a login, and `exit N` for a command.
"""

from collections.abc import Callable
from typing import NamedTuple


class Case(NamedTuple):
    name: str
    words: str
    provoke: Callable
    status: str
    fragments: list[str]


def sql(text: str):
    """A statement sent to the server of the tests."""
    return lambda world: world.statement(text)


def login(user, password):
    """A login at a server with users."""
    return lambda world: world.login(user, password)


def command(*arguments, **files):
    """`meesh ARGUMENTS`, with an etc folder of these files where an argument says {etc}."""
    return lambda world: world.command(arguments, files)


def statement_case(name: str, text: str, status: str, *fragments: str) -> Case:
    return Case(name, f"`{text}`" if "\n" not in text and len(text) < 150 else name, sql(text), status, list(fragments))


ORDERS = "sales.public.orders"
SALES_FILE = "connector.name=postgresql\nconnection-url=jdbc:postgresql://127.0.0.1:1/sales\nconnection-user=a\n"

STATEMENTS = [
    statement_case("misspelt keyword", f"SELECT order_id FORM {ORDERS}", "InvalidArgument", "line 1:"),
    statement_case("missing parenthesis", f"SELECT count(\n  *\nFROM {ORDERS}", "InvalidArgument", "line 3:"),
    statement_case("unknown column", f"SELECT custmer_id FROM {ORDERS}", "NotFound", "custmer_id", "customer_id",
                   "line 1:8"),
    statement_case("unknown table", "SELECT * FROM sales.public.oders", "NotFound", "oders", "orders", "line 1:15"),
    statement_case("unknown schema", "SELECT * FROM sales.pubic.orders", "NotFound", "pubic", "public"),
    statement_case("unknown catalog", "SELECT * FROM sails.public.orders", "NotFound", "sails", "sales"),
    statement_case("ambiguous column",
                   f"SELECT order_id FROM {ORDERS} o JOIN sales.public.order_items i ON o.order_id = i.order_id",
                   "InvalidArgument", "order_id", "ambiguous", "line 1:8"),
    statement_case("unknown function", "SELECT uper(name) FROM sales.public.customers", "NotFound", "uper", "upper"),
    statement_case("text plus number", "SELECT name + 1 FROM sales.public.customers", "InvalidArgument", "line 1:"),
    statement_case("sum of texts", "SELECT sum(name) FROM sales.public.customers", "InvalidArgument",
                   "FUNCTION_NOT_FOUND", "unexpected parameters (varchar) for function sum", "CAST"),
    statement_case("column not grouped", "SELECT region, name, count(*) FROM sales.public.customers GROUP BY region",
                   "InvalidArgument", "name"),
    statement_case("text that is no number", "SELECT CAST(name AS bigint) FROM sales.public.customers",
                   "InvalidArgument", "Ada Becker"),
    statement_case("division by zero", "SELECT 10 / (order_id - order_id) FROM sales.public.orders",
                   "InvalidArgument", "zero"),
    statement_case("two statements", "SELECT 1; SELECT 2", "InvalidArgument", "one statement"),
    statement_case("no statement", "   ", "InvalidArgument", "statement"),
    statement_case("unknown kind of statement", "VACUUM sales.public.orders", "Unimplemented", "line 1:1"),
    statement_case("kind of statement not supported", f"GRANT SELECT ON {ORDERS} TO ann", "Unimplemented", "GRANT"),
    statement_case("write to a catalog that is read-only", f"DELETE FROM {ORDERS}", "PermissionDenied", "sales",
                   "writes-enabled=true"),
    statement_case("write to files", "CREATE TABLE lake.raw.t (a bigint)", "Unimplemented", "lake",
                   "cannot be written to"),
    statement_case("unknown session property", "SET SESSION query_max_rum_time = '1s'", "InvalidArgument",
                   "query_max_rum_time", "query_max_run_time"),
    statement_case("kill of an unknown query", "KILL QUERY '20260101_000000_00000_aaaaa'", "NotFound",
                   "20260101_000000_00000_aaaaa"),
    Case("statement bomb", "a sum of 20,000 ones", sql("SELECT " + "+".join(["1"] * 20_000)), "InvalidArgument", []),
    Case("run time exceeded", "`SET SESSION query_max_run_time = '1s'`, then a product of three big tables",
         lambda world: world.slow_statement(), "DeadlineExceeded", ["1.00 s", "query_max_run_time"]),
]

SOURCES = [
    statement_case("numeric that does not fit", "SELECT * FROM odd.public.numerics", "FailedPrecondition", "numerics",
                   "value", "decimal-default-scale"),
    statement_case("wrong password of a source", "SELECT * FROM wrong_password.public.orders", "PermissionDenied",
                   "wrong_password", "password"),
    statement_case("dead host", "SELECT * FROM dead_host.public.orders", "Unavailable", "dead_host", "127.0.0.1:"),
    statement_case("unknown database", "SELECT * FROM no_database.public.orders", "Unavailable", "no_database",
                   "connection-url"),
    statement_case("missing bucket", "SELECT * FROM no_bucket.raw.costs", "NotFound", "no_bucket"),
    statement_case("S3 that refuses", "SELECT * FROM refused.raw.costs", "PermissionDenied", "refused",
                   "s3.aws-access-key"),
    statement_case("CSV with a broken row", "SELECT * FROM broken.raw.torn", "FailedPrecondition", "torn.csv",
                   "line 4"),
    statement_case("CSV value beyond the sample", "SELECT sum(amount) FROM broken.raw.late", "FailedPrecondition",
                   "late.csv", "line 60002", "amount"),
    statement_case("broken JSON line", "SELECT * FROM broken.raw.lines", "FailedPrecondition", "lines.ndjson",
                   "line 2"),
    statement_case("truncated Parquet", "SELECT * FROM broken.raw.cut", "FailedPrecondition", "cut.parquet"),
    statement_case("file beside folder of its name", "SELECT * FROM broken.raw.twice", "FailedPrecondition",
                   "twice.csv", "twice/"),
    statement_case("files that do not agree", "SELECT * FROM broken.raw.drift", "FailedPrecondition", "a.csv", "b.csv"),
    statement_case("Delta table", "SELECT * FROM broken.raw.delta", "Unimplemented", "delta", "_delta_log"),
]

LOGINS = [
    Case("wrong password", "a login with a wrong password", login("ann", "wrong"), "Unauthenticated", []),
    Case("unknown user", "a login as nobody known", login("nobody", "secret"), "Unauthenticated", []),
    Case("no login", "a statement without login where there are users", login(None, None), "Unauthenticated", []),
]

COMMANDS = [
    Case("unknown key in a catalog file", "`conection-url=...` in `etc/catalog/sales.properties`",
         command("serve", "--etc", "{etc}", **{"catalog/sales.properties": SALES_FILE.replace("connection-url",
                                                                                             "conection-url")}),
         "exit 2", ["conection-url", "connection-url", "sales.properties"]),
    Case("unknown connector", "`connector.name=postgresq`",
         command("serve", "--etc", "{etc}", **{"catalog/sales.properties": "connector.name=postgresq\n"}),
         "exit 2", ["postgresq", "postgresql"]),
    Case("variable not set", "`connection-password=${ENV:MEESH_TEST_NOT_SET}`",
         command("serve", "--etc", "{etc}",
                 **{"catalog/sales.properties": SALES_FILE + "connection-password=${ENV:MEESH_TEST_NOT_SET}\n"}),
         "exit 2", ["MEESH_TEST_NOT_SET", "sales.properties:4"]),
    Case("unknown key in meesh.yaml", "`flight.lisen: 127.0.0.1:0` in `etc/meesh.yaml`",
         command("serve", "--etc", "{etc}", **{"meesh.yaml": "flight.lisen: 127.0.0.1:0\n"}),
         "exit 2", ["flight.lisen", "flight.listen"]),
    Case("unknown key in config.properties", "`query.max-memry=1GB` in `etc/config.properties`",
         command("serve", "--etc", "{etc}", **{"config.properties": "query.max-memry=1GB\n"}),
         "exit 2", ["query.max-memry", "query.max-memory"]),
    Case("port in use", "`meesh serve` on a port that another program has",
         lambda world: world.command(
             ("serve", "--etc", "{etc}", "--flight-listen", f"127.0.0.1:{world.busy_port}"), {}),
         "exit 2", ["in use", "--flight-listen"]),
    Case("open to strangers", "`flight.listen: 0.0.0.0:0` without users",
         command("serve", "--etc", "{etc}", "--flight-listen", "0.0.0.0:0"), "exit 2", ["users.file", "insecure"]),
    Case("missing folder", "`meesh serve --etc` with a folder that is not there",
         command("serve", "--etc", "/no/such/folder"), "exit 2", ["/no/such/folder"]),
    Case("wrong statement on the command line", "`meesh sql -e 'SELEC 1'`",
         command("sql", "--etc", "{etc}", "-e", "SELEC 1"), "exit 1", ["SELEC", "^"]),
    Case("server that is not there", "`meesh sql grpc://127.0.0.1:1 -e 'SELECT 1'`",
         command("sql", "grpc://127.0.0.1:1", "-e", "SELECT 1"), "exit 3", ["127.0.0.1:1"]),
    Case("check of a dead source", "`meesh check` with a catalog whose host is dead",
         command("check", "--etc", "{etc}", **{"catalog/sales.properties": SALES_FILE}), "exit 3",
         ["FAILED", "127.0.0.1:1"]),
]

CASES = STATEMENTS + SOURCES + LOGINS + COMMANDS
