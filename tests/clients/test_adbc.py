"""The ADBC driver's own view of the door: every call it can make (tests/clients/adbc_flight.py)."""

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("adbc_flight.py")


def test_every_call_of_the_adbc_driver(meesh):
    done = subprocess.run([sys.executable, SCRIPT, f"127.0.0.1:{meesh.flight_port}"], capture_output=True, text=True,
                          timeout=300)
    print(done.stdout[-8000:], done.stderr[-4000:])
    passed, failed = map(int, re.search(r"(\d+) passed, (\d+) failed", done.stdout).groups())
    assert failed == 0 and passed > 0 and done.returncode == 0
