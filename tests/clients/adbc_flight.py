"""The Flight SQL door as the real ADBC driver sees it.

    python adbc_flight.py HOST:PORT [USER PASSWORD]

needs adbc-driver-flightsql, pyarrow and pandas, and a running server; it writes nothing and uses no
catalog but `system`. Prints a line for each failure and each case that this server cannot show, and, at the end,
`N passed, N failed, N skipped`.
"""

import concurrent.futures
import contextlib
import datetime
import decimal
import sys
import threading
import time
import warnings

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi as flight_sql
import adbc_driver_manager as adbc
import pyarrow as pa

warnings.filterwarnings("ignore", message="Cannot disable autocommit")

DIGITS = "(values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) as {0}(d{0})"

CASES = []


class Skipped(Exception):
    """The server cannot show this, and why."""


def case(function):
    CASES.append(function)
    return function


def digits(count):
    """A FROM clause of 10 ** count rows."""
    return ", ".join(DIGITS.format(name) for name in "abcdefghijklmn"[:count])


class Server:
    def __init__(self, address, user=None, password=None):
        self.uri = address if "://" in address else f"grpc://{address}"
        self.user, self.password = user, password

    def connect(self, **options):
        login = {}
        if self.user is not None:
            login = {"username": self.user, "password": self.password}
        return flight_sql.connect(self.uri, db_kwargs={**login, **options}, autocommit=True)

    @contextlib.contextmanager
    def cursor(self, **options):
        with self.connect(**options) as connection, connection.cursor() as cursor:
            yield cursor


def equal(found, wanted, what=""):
    assert found == wanted, f"{what}: found {found!r}, wanted {wanted!r}"


def refused(run, status, *words):
    try:
        run()
    except adbc.Error as error:
        equal(error.status_code, status, str(error))
        for word in words:
            assert word.lower() in str(error).lower(), f"{word!r} is not in {error}"
        return error
    raise AssertionError("was not refused")


def needs_users(server):
    if server.user is None:
        raise Skipped("everybody may enter; give USER and PASSWORD of a server with users")


def query(cursor, sql, parameters=None):
    cursor.execute(sql, parameters)
    return cursor.fetchall()


def low_level(connection, sql):
    statement = adbc.AdbcStatement(connection.adbc_connection)
    statement.set_sql_query(sql)
    return statement


def read_stream(handle):
    return pa.RecordBatchReader._import_from_c(handle.address).read_all()


# Connecting and server information.


@case
def connects_and_answers(server):
    with server.cursor() as cursor:
        equal(query(cursor, "select 1"), [(1,)])


@case
def information_names_the_server(server):
    with server.connect() as connection:
        info = connection.adbc_get_info()
        equal(info["vendor_name"], "meesh")
        assert info["vendor_version"] and info["vendor_arrow_version"], info


@case
def sql_info_has_the_standard_union(server):
    # The driver itself reads int32 member 3 while it connects; here every member is read.
    with server.connect() as connection:
        reader = read_stream(connection.adbc_connection.get_info()[0] if isinstance(
            connection.adbc_connection.get_info(), tuple) else connection.adbc_connection.get_info())
        assert reader.num_rows > 3


@case
def wrong_password_is_refused_in_words(server):
    needs_users(server)
    wrong = Server(server.uri, server.user, server.password + "x")
    refused(lambda: wrong.connect(), adbc.AdbcStatusCode.UNAUTHENTICATED, "wrong user name or password")
    nobody = Server(server.uri, "nobody-of-that-name", "x")
    refused(lambda: nobody.connect(), adbc.AdbcStatusCode.UNAUTHENTICATED, "wrong user name or password")


@case
def missing_login_is_refused(server):
    needs_users(server)

    def connect():
        with Server(server.uri).cursor() as cursor:
            query(cursor, "select 1")

    refused(connect, adbc.AdbcStatusCode.UNAUTHENTICATED, "user name")


@case
def basic_on_every_call_is_accepted(server):
    import base64

    name = f"{server.user or 'ann'}:{server.password or ''}"
    for padded in (True, False):
        text = base64.b64encode(name.encode()).decode()
        text = text if padded else text.rstrip("=")
        header = {"adbc.flight.sql.authorization_header": f"Basic {text}"}
        with flight_sql.connect(server.uri, db_kwargs=header, autocommit=True) as connection:
            with connection.cursor() as cursor:
                equal(query(cursor, "select 2"), [(2,)])
                equal(query(cursor, "select cast(? as integer)", [5]), [(5,)])


# Results.

TYPES = [
    ("true", True),
    ("cast(1 as tinyint)", 1),
    ("cast(2 as smallint)", 2),
    ("cast(3 as integer)", 3),
    ("cast(4 as bigint)", 4),
    ("cast(1.5 as real)", 1.5),
    ("cast(2.5 as double)", 2.5),
    ("cast(12.34 as decimal(10, 2))", decimal.Decimal("12.34")),
    ("cast('123456789012345678901234567.8901234567' as decimal(38, 10))",
     decimal.Decimal("123456789012345678901234567.8901234567")),
    ("'text'", "text"),
    ("cast('ü€😀' as varchar)", "ü€😀"),
    ("X'00ff'", b"\x00\xff"),
    ("date '2026-11-23'", datetime.date(2026, 11, 23)),
    ("timestamp '2026-11-23 04:05:06.789'", datetime.datetime(2026, 11, 23, 4, 5, 6, 789000)),
    ("array[1, 2, 3]", [1, 2, 3]),
    ("cast(null as varchar)", None),
    ("null", None),
]


@case
def every_type_comes_as_it_is(server):
    with server.cursor() as cursor:
        for sql, wanted in TYPES:
            equal(query(cursor, f"select {sql}"), [(wanted,)], sql)


@case
def strings_are_plain_unless_views_are_asked_for(server):
    with server.cursor() as cursor:
        cursor.execute("select 'a long enough text for a view' as t")
        equal(cursor.fetch_arrow_table().schema.field("t").type, pa.string())
    with server.connect() as connection:
        connection.adbc_connection.set_options(**{"adbc.flight.sql.session.optionbool.arrow_views": "true"})
        with connection.cursor() as cursor:
            cursor.execute("select cast('a long enough text for a view' as varchar) as t")
            table = cursor.fetch_arrow_table()
            equal(table.column("t").to_pylist(), ["a long enough text for a view"])


@case
def empty_results_have_their_schema(server):
    with server.cursor() as cursor:
        cursor.execute("select 1 as a, 'x' as b where 1 = 0")
        table = cursor.fetch_arrow_table()
        equal((table.num_rows, table.column_names), (0, ["a", "b"]))


@case
def labels_stay_as_written(server):
    with server.cursor() as cursor:
        cursor.execute('select 1 as "Mixed Case", 2 as lower')
        equal([column[0] for column in cursor.description], ["Mixed Case", "lower"])


@case
def a_large_result_arrives_whole(server):
    with server.cursor() as cursor:
        cursor.execute(f"select da + db as n, 'a text of some length to fill messages' as t from {digits(6)}")
        table = cursor.fetch_arrow_table()
        equal(table.num_rows, 10**6)
        assert all(chunk.nbytes < 4 << 20 for chunk in table.column("t").chunks)


@case
def a_plain_grpc_client_with_small_messages_reads_it_too(server):
    # 4 MiB is what grpc-go and others accept without configuration.
    small = {"adbc.flight.sql.client_option.with_max_msg_size": str(4 << 20)}
    with server.cursor(**small) as cursor:
        cursor.execute(f"select repeat('x', 1000) as t from {digits(4)}")
        equal(cursor.fetch_arrow_table().num_rows, 10**4)


@case
def fifty_cursors_at_once(server):
    with server.connect() as connection:

        def run(number):
            with connection.cursor() as cursor:
                return query(cursor, f"select {number}, count(*) from {digits(4)}")

        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            equal(list(pool.map(run, range(50))), [[(n, 10**4)] for n in range(50)])


@case
def pandas_reads_it(server):
    with server.cursor() as cursor:
        cursor.execute("select 1 as a, 'x' as b")
        equal(cursor.fetch_df().to_dict("records"), [{"a": 1, "b": "x"}])


# Statements by the low-level interface (CommandStatementQuery, CommandStatementUpdate, GetSchema).


@case
def unprepared_queries_and_updates(server):
    with server.connect() as connection:
        statement = low_level(connection, "select 7 as seven")
        handle, _ = statement.execute_query()
        equal(read_stream(handle).to_pylist(), [{"seven": 7}])
        statement.close()
        statement = low_level(connection, "set session pushdown_enabled = true")
        equal(statement.execute_update(), 0)
        statement.close()


@case
def schema_without_running(server):
    with server.connect() as connection:
        for prepare in (False, True):
            with low_level(connection, "select 1 as a, cast('x' as varchar) as b") as statement:
                if prepare:
                    statement.prepare()
                schema = pa.schema(statement.execute_schema())
            equal(schema.names, ["a", "b"])
            equal(schema.field("b").type, pa.string())


@case
def partitions_are_read_by_another_connection(server):
    with server.connect() as connection, connection.cursor() as cursor:
        partitions, schema = cursor.adbc_execute_partitions(f"select da as n from {digits(2)}")
        equal((len(partitions), schema.names), (1, ["n"]))
        with server.connect() as other, other.cursor() as reader:
            reader.adbc_read_partition(partitions[0])
            equal(reader.fetch_arrow_table().num_rows, 100)
        with server.cursor() as again:
            refused(lambda: again.adbc_read_partition(partitions[0]), adbc.AdbcStatusCode.NOT_FOUND)


@case
def statements_that_do_something_run_once_whatever_the_way(server):
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("use system.runtime")
        equal(len(query(cursor, "select query_id from queries limit 1")), 1)
        cursor.execute("set session task_concurrency = 2")
        shown = [row for row in query(cursor, "show session") if row[0] == "task_concurrency"]
        equal(shown[0][1], "2")


# Prepared statements.


@case
def parameters_are_bound_by_question_mark(server):
    with server.cursor() as cursor:
        equal(query(cursor, "select cast(? as bigint) + 1, cast(? as varchar)", [41, "x"]), [(42, "x")])
        many = ", ".join(f"cast(? as integer) as c{n}" for n in range(1, 13))
        equal(query(cursor, f"select {many}", list(range(1, 13))), [tuple(range(1, 13))])
        equal(query(cursor, "select cast(? as varchar)", [None]), [(None,)])
        equal(query(cursor, f"select count(*) from {DIGITS.format('a')} where da < ?", [3]), [(3,)])


@case
def parameters_have_a_schema_in_numeric_order(server):
    with server.connect() as connection:
        parameters = ", ".join(f"cast(${n} as bigint)" for n in range(1, 12))
        with low_level(connection, f"select {parameters}") as statement:
            statement.prepare()
            schema = pa.schema(statement.get_parameter_schema())
        equal([name.lstrip("$") for name in schema.names], [str(n) for n in range(1, 12)])
        assert all(field.nullable for field in schema), schema


@case
def a_prepared_statement_runs_again_and_again(server):
    with server.cursor() as cursor:
        for number in range(20):
            equal(query(cursor, "select cast(? as bigint) * 2", [number]), [(2 * number,)])


@case
def missing_and_superfluous_parameters_are_refused(server):
    with server.cursor() as cursor:
        refused(lambda: query(cursor, "select cast(? as bigint)", [1, 2]), adbc.AdbcStatusCode.INVALID_ARGUMENT, "1 parameter")


@case
def executemany_of_a_query_is_refused(server):
    with server.cursor() as cursor:
        refused(
            lambda: cursor.executemany("select cast(? as bigint)", [[1], [2]]),
            adbc.AdbcStatusCode.INVALID_ARGUMENT,
            "returns rows",
        )


@case
def many_rows_for_a_query_are_refused(server):
    with server.cursor() as cursor:
        rows = pa.record_batch([pa.array([1, 2])], names=["0"])
        refused(
            lambda: query(cursor, "select cast(? as bigint)", rows),
            adbc.AdbcStatusCode.NOT_IMPLEMENTED,
            "one row of parameters",
        )


# Metadata.


@case
def objects_at_every_depth(server):
    with server.connect() as connection:
        for depth in ("catalogs", "db_schemas", "tables", "all"):
            objects = connection.adbc_get_objects(depth=depth).read_all().to_pylist()
            catalogs = {entry["catalog_name"]: entry for entry in objects}
            assert "system" in catalogs, (depth, sorted(catalogs))
            schemas = catalogs["system"]["catalog_db_schemas"]
            if depth == "catalogs":
                equal(schemas, None)
                continue
            schemas = {schema["db_schema_name"]: schema["db_schema_tables"] for schema in schemas}
            assert {"runtime", "information_schema"} <= set(schemas), schemas
            if depth == "db_schemas":
                continue
            tables = {table["table_name"]: table for table in schemas["runtime"]}
            assert "queries" in tables, sorted(tables)
            if depth == "all":
                columns = {column["column_name"]: column for column in tables["queries"]["table_columns"]}
                assert "query_id" in columns, sorted(columns)
                equal(columns["query_id"]["ordinal_position"], 1)


@case
def objects_by_pattern(server):
    with server.connect() as connection:
        objects = connection.adbc_get_objects(
            depth="tables", catalog_filter="sys%", db_schema_filter="run_ime", table_name_filter="quer%"
        ).read_all().to_pylist()
        tables = [
            table["table_name"]
            for catalog in objects
            for schema in catalog["catalog_db_schemas"] or []
            for table in schema["db_schema_tables"] or []
        ]
        equal(tables, ["queries"])


@case
def a_tables_schema_equals_a_querys(server):
    with server.connect() as connection, connection.cursor() as cursor:
        schema = connection.adbc_get_table_schema("queries", catalog_filter="system", db_schema_filter="runtime")
        cursor.execute("select * from system.runtime.queries where 1 = 0")
        found = cursor.fetch_arrow_table().schema
        equal(schema.names, found.names)
        equal(schema.types, found.types)
        metadata = schema.field("query_id").metadata
        equal(metadata[b"ARROW:FLIGHT:SQL:TABLE_NAME"], b"queries")
        refused(
            lambda: connection.adbc_get_table_schema("no_such_table"),
            adbc.AdbcStatusCode.NOT_FOUND,
        )


@case
def table_types(server):
    with server.connect() as connection:
        equal(sorted(connection.adbc_get_table_types()), ["BASE TABLE", "SYSTEM TABLE", "VIEW"])


# Sessions.


@case
def catalog_and_schema_belong_to_the_session(server):
    with server.connect() as connection:
        equal((connection.adbc_current_catalog, connection.adbc_current_db_schema), ("", ""))
        connection.adbc_current_catalog = "system"
        connection.adbc_current_db_schema = "runtime"
        equal((connection.adbc_current_catalog, connection.adbc_current_db_schema), ("system", "runtime"))
        with connection.cursor() as cursor:
            assert query(cursor, "select count(*) from queries")[0][0] > 0
    with server.connect() as fresh, fresh.cursor() as cursor:
        equal(fresh.adbc_current_catalog, "")
        refused(lambda: query(cursor, "select count(*) from queries"), adbc.AdbcStatusCode.INVALID_ARGUMENT)


@case
def session_options_by_name(server):
    prefix = "adbc.flight.sql.session.option."
    with server.connect() as connection:
        low = connection.adbc_connection
        low.set_options(**{prefix + "timezone": "Europe/Berlin"})
        equal(low.get_option(prefix + "timezone"), "Europe/Berlin")
        low.set_options(**{"adbc.flight.sql.session.optionerase.timezone": ""})
        equal(low.get_option(prefix + "timezone"), "UTC")
        refused(
            lambda: low.set_options(**{prefix + "no_such_option": "1"}),
            adbc.AdbcStatusCode.INVALID_ARGUMENT,
            "invalid name",
        )
        refused(
            lambda: low.set_options(**{prefix + "timezone": "Mars/Olympus"}),
            adbc.AdbcStatusCode.INVALID_ARGUMENT,
            "invalid value",
        )


@case
def headers_set_one_call(server):
    with server.connect() as connection, connection.cursor() as cursor:
        options = {"adbc.flight.sql.rpc.call_header.x-meesh-catalog": "system",
                   "adbc.flight.sql.rpc.call_header.x-meesh-schema": "runtime"}
        cursor.adbc_statement.set_options(**options)
        assert query(cursor, "select count(*) from queries")[0][0] > 0


# Cancellation and progress.

# No machine ends it: 10 ** 9 rows took half a second on a fast one.
ENDLESS = f"select sum(da * db + dc) from {digits(14)}"


def running(server, text):
    with server.cursor() as cursor:
        sql = "select state, query from system.runtime.queries"
        states = [state for state, query_text in query(cursor, sql) if query_text == text]
        return [state for state in states if state in ("QUEUED", "PLANNING", "RUNNING", "FINISHING")]


def gone(server, text, seconds=1.0):
    deadline = time.monotonic() + seconds
    while running(server, text):
        assert time.monotonic() < deadline, f"still running after {seconds} s"
        time.sleep(0.02)


@case
def cancelling_a_cursor_stops_the_query(server):
    sql = ENDLESS + " -- cancelled by the cursor"
    with server.connect() as connection, connection.cursor() as cursor:
        threading.Timer(0.5, connection.adbc_cancel).start()
        threading.Timer(0.6, cursor.adbc_cancel).start()
        started = time.monotonic()
        refused(lambda: query(cursor, sql), adbc.AdbcStatusCode.CANCELLED)
        assert time.monotonic() - started < 5
        gone(server, sql)


@case
def closing_a_stream_stops_the_query(server):
    sql = f"select da, 'some text to fill the buffers of the connection' from {digits(8)}"
    with server.connect() as connection:
        cursor = connection.cursor()
        cursor.execute(sql)
        equal(cursor.fetchmany(10)[0][1][:9], "some text")
        assert running(server, sql)
        cursor.close()
        gone(server, sql)


@case
def progress_is_seen_while_polling(server):
    with server.connect() as connection:
        sql = f"select count(*) as n from {digits(7)} where da + db + dc > 3"
        statement = low_level(connection, sql)
        statement.set_options(**{"adbc.statement.exec.incremental": "true"})
        partitions, schema, _ = statement.execute_partitions()
        equal(len(partitions), 1)
        progress = statement.get_option_float("adbc.statement.exec.progress")
        assert 0.0 <= progress <= 1.0, progress
        handle = connection.adbc_connection.read_partition(partitions[0])
        assert read_stream(handle).to_pylist()[0]["n"] > 0
        more, _, _ = statement.execute_partitions()
        equal(len(more), 0)
        statement.close()


@case
def a_failing_query_fails_while_polling(server):
    with server.connect() as connection:
        with low_level(connection, f"select 1 / (da - da) from {digits(3)}") as statement:
            statement.set_options(**{"adbc.statement.exec.incremental": "true"})
            refused(lambda: statement.execute_partitions(), adbc.AdbcStatusCode.INVALID_ARGUMENT, "division by zero")


# Errors.


@case
def errors_have_status_place_hint_and_id(server):
    with server.cursor() as cursor:
        error = refused(
            lambda: query(cursor, "select 1 as a from\n system.runtime.querys"),
            adbc.AdbcStatusCode.NOT_FOUND,
            "TABLE_NOT_FOUND",
            "line 2:",
            "queries",
            "[query 2",
        )
        details = {bytes(key).decode(): value for key, value in error.details}
        equal(details["x-meesh-error-code"], b"TABLE_NOT_FOUND")
        assert details["x-meesh-query-id"].startswith(b"2"), details
        equal(str(error).count("\n"), 0)


@case
def each_fault_has_its_status(server):
    status = adbc.AdbcStatusCode
    with server.cursor() as cursor:
        for sql, wanted in [
            ("selec 1", status.INVALID_ARGUMENT),
            ("select nothing_there from system.runtime.queries", status.NOT_FOUND),
            ("select 1 from no_catalog.no_schema.no_table", status.NOT_FOUND),
            ("grant select on t to ann", status.NOT_IMPLEMENTED),
            ("select cast('x' as integer)", status.INVALID_ARGUMENT),
            ("select 1 / 0", status.INVALID_ARGUMENT),
            (" ", status.INVALID_ARGUMENT),
        ]:
            refused(lambda: query(cursor, sql), wanted)
        equal(query(cursor, "select 1"), [(1,)])


@case
def a_time_limit_is_kept(server):
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set session query_max_run_time = '300ms'")
        started = time.monotonic()
        refused(lambda: query(cursor, ENDLESS), adbc.AdbcStatusCode.TIMEOUT, "query_max_run_time")
        assert time.monotonic() - started < 30


@case
def transactions_and_ingestion_are_refused_by_name(server):
    with server.connect() as connection, connection.cursor() as cursor:
        data = pa.table({"a": [1]})
        refused(lambda: cursor.adbc_ingest("t", data), adbc.AdbcStatusCode.NOT_IMPLEMENTED, "ingestion")
    # A cursor that has ingested goes on ingesting.
    with server.cursor() as cursor:
        refused(lambda: query(cursor, b"not a plan"), adbc.AdbcStatusCode.NOT_IMPLEMENTED, "substrait")


@case
def a_giant_cell_names_the_option(server):
    sql = "select 1 as id, lpad('x', 17000000, 'x') as document"
    with server.cursor() as cursor:
        refused(lambda: query(cursor, sql), adbc.AdbcStatusCode.INTERNAL, "document", "max_message_bytes")
    large = {"adbc.flight.sql.client_option.with_max_msg_size": str(64 << 20)}
    with server.connect(**large) as connection:
        connection.adbc_connection.set_options(
            **{"adbc.flight.sql.session.option.max_message_bytes": "64MB"}
        )
        with connection.cursor() as cursor:
            equal(len(query(cursor, sql)[0][1]), 17000000)


def main(arguments):
    if len(arguments) not in (1, 3):
        print(__doc__)
        return 2
    server = Server(*arguments)
    failed = skipped = 0
    for function in CASES:
        try:
            function(server)
        except Skipped as reason:
            skipped += 1
            print(f"SKIPPED {function.__name__}: {reason}")
        except Exception as error:  # a broken case must not hide the others
            failed += 1
            print(f"FAILED {function.__name__}: {type(error).__name__}: {error}")
    print(f"{len(CASES) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
