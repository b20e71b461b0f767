"""`meesh demo`, as a newcomer runs it."""

import os
import re
import signal
import subprocess
import sys
import time

import psutil

from support.examples import EXAMPLES, QUERIES, csv_text, expected_text
from support.meesh import demo, run


def test_demo_exit_shows_three_correct_results():
    done = run("demo", "--exit", "--flight-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("as expected") == 3
    assert "Inés Jurado" in done.stdout


def test_the_printed_lines_read_the_same_rows():
    with demo() as (process, ready):
        command, python = printed_lines(process, ready)
        done = subprocess.run([sys.executable, "-c", python], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert "Inés Jurado" in done.stdout
        assert ready["flight"] in command
        import adbc_driver_flightsql.dbapi as flightsql

        with flightsql.connect(ready["flight"], autocommit=True) as connection, connection.cursor() as cursor:
            for name in QUERIES:
                cursor.execute((EXAMPLES / "queries" / f"{name}.sql").read_text())
                assert csv_text([c[0] for c in cursor.description], cursor.fetchall()) == expected_text(name)


def printed_lines(process, ready) -> tuple[str, str]:
    """The terminal command and the Python lines of the ready box."""
    text = ready["box"]
    command = re.search(r"^meesh sql .*$", text, re.M).group()
    python = text[text.index("import adbc_driver_flightsql"):]
    return command, python[: python.index("\n\n")]


def runs(pid: int) -> bool:
    """Whether a process is there and is no zombie that nobody has waited for yet."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_ctrl_c_leaves_nothing_behind():
    with demo() as (process, ready):
        children = [ready["sales"]["pid"], ready["marketing"]["pid"]]
        assert all(runs(pid) for pid in children)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
        assert not any(runs(pid) for pid in children)
        assert not os.path.exists(ready["folder"])


def test_a_killed_demo_takes_its_servers_along():
    with demo() as (process, ready):
        process.kill()
        process.wait()
        children = [ready["sales"]["pid"], ready["marketing"]["pid"]]
        deadline = time.monotonic() + 10
        while any(runs(pid) for pid in children) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(runs(pid) for pid in children)
    subprocess.run(["rm", "-rf", ready["folder"]], check=True)
