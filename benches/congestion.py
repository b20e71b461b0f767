"""How the kernel of this machine paces what one process sends another.

Linux's default, cubic, sends when there is room. bbr, which some machines are set to, measures a rate and keeps to it
by timers: between processes of one machine that protects nobody, and whoever receives pays.
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
    try:
        SETTING.write_text(name)
    except OSError as error:
        raise SystemExit(f"TCP's congestion control cannot be set to {name!r}: {error}\n"
                         "(it takes root; tcp_available_congestion_control beside that file lists what there is)") from None
    try:
        yield
    finally:
        SETTING.write_text(before)
