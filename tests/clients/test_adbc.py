"""The ADBC driver's own view of the door: every call it can make (tests/clients/adbc_flight.py)."""

import re
import subprocess
import sys
from pathlib import Path

from support.meesh import serving
from support.users import with_users

SCRIPT = Path(__file__).with_name("adbc_flight.py")


def run_script(meesh, *login: str) -> tuple[int, int, int]:
    """Cases passed, failed and skipped."""
    done = subprocess.run([sys.executable, SCRIPT, f"127.0.0.1:{meesh.flight_port}", *login], capture_output=True,
                          text=True, timeout=300)
    print(done.stdout[-8000:], done.stderr[-4000:])
    return tuple(map(int, re.search(r"(\d+) passed, (\d+) failed, (\d+) skipped", done.stdout).groups()))


def test_every_call_of_the_adbc_driver(meesh):
    passed, failed, skipped = run_script(meesh)
    assert failed == 0 and passed > 30 and skipped == 2


def test_every_call_of_the_adbc_driver_with_a_login():
    with serving({}, **with_users(ann="secret")) as guarded:
        passed, failed, skipped = run_script(guarded, "ann", "secret")
    assert failed == 0 and passed > 30 and skipped == 0
