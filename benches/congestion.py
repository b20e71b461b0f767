"""How the kernel of this machine paces what one process sends another.

Linux's default, cubic, sends when there is room. bbr, which some machines are set to, measures a rate and keeps to it,
with a timer for nearly every segment: between processes of one machine that protects nobody, and whoever receives
pays, most of all in a virtual machine, which leaves to its host for every timer.
"""

from contextlib import contextmanager
from pathlib import Path

SETTING = Path("/proc/sys/net/ipv4/tcp_congestion_control")


def control() -> str:
    """The congestion control of new connections; empty where the system does not say."""
    return SETTING.read_text().strip() if SETTING.exists() else ""


@contextmanager
def controlled_by(name: str | None):
    """New connections of the whole machine are controlled by `name` meanwhile; `None` leaves them alone. Needs root."""
    before = control()
    if name is None or name == before:
        yield
        return
    SETTING.write_text(name)
    try:
        yield
    finally:
        SETTING.write_text(before)
