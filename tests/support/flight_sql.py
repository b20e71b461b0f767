"""A Flight SQL client of two calls on pyarrow.flight: light enough that its own cost does not hide the server's.

(The ADBC driver prepares each statement first, and costs about a millisecond a query by itself.)
"""

import time

import pyarrow as pa
import pyarrow.flight as flight

STATEMENT_TYPE = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"


def _field(number: int, data: bytes) -> bytes:
    """One length-delimited field of a protocol buffer."""
    length, size = len(data), b""
    while length > 0x7F:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + data


def statement_descriptor(sql: str) -> flight.FlightDescriptor:
    """Any{type_url: 1, value: 2} of CommandStatementQuery{query: 1}, as Flight SQL wants a command."""
    command = _field(1, sql.encode())
    return flight.FlightDescriptor.for_command(_field(1, STATEMENT_TYPE) + _field(2, command))


class _KeepToken(flight.ClientMiddlewareFactory):
    """Sends back the token that the server handed out, so that all calls are one session."""

    def __init__(self):
        self.token: str | None = None

    def start_call(self, info):
        return _Call(self)


class _Call(flight.ClientMiddleware):
    def __init__(self, kept: _KeepToken):
        self.kept = kept

    def sending_headers(self):
        return {"authorization": self.kept.token} if self.kept.token else {}

    def received_headers(self, headers):
        for value in headers.get("authorization", []):
            self.kept.token = value


class FlightSql:
    """One connection. Every call is a session of its own, unless `keep_session`: then SET SESSION lasts."""

    def __init__(self, uri: str, timeout_s: float = 600, keep_session: bool = False):
        self.client = flight.FlightClient(uri, middleware=[_KeepToken()] if keep_session else None)
        self.options = flight.FlightCallOptions(timeout=timeout_s)

    def reader(self, sql: str) -> flight.FlightStreamReader:
        info = self.client.get_flight_info(statement_descriptor(sql), self.options)
        return self.client.do_get(info.endpoints[0].ticket, self.options)

    def query(self, sql: str) -> pa.Table:
        """The whole result."""
        return self.reader(sql).read_all()

    def first_batch(self, sql: str) -> pa.RecordBatch:
        """The first rows; the rest is given up."""
        reader = self.reader(sql)
        batch = reader.read_chunk().data
        reader.cancel()
        return batch

    def drain(self, sql: str) -> int:
        """Reads the result and keeps nothing; the number of rows."""
        rows = 0
        for chunk in self.reader(sql):
            rows += chunk.data.num_rows
        return rows

    def close(self) -> None:
        self.client.close()


def connect_when_up(uri: str, process, wait_s: float = 30) -> FlightSql:
    """Connects as soon as the server accepts, trying every 2 ms."""
    import socket

    host, port = uri.rsplit("/", 1)[-1].rsplit(":", 1)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return FlightSql(uri)
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server at {uri} did not come up") from None
            time.sleep(0.002)
