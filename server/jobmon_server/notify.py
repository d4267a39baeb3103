"""What the server tells systemd: ready, reloading, stopping.

One datagram to ``$NOTIFY_SOCKET``, as ``Type=notify`` wants it; where the
variable is not set, nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time


def notify(message: str) -> None:
    """Send ``READY=1``, ``STOPPING=1`` or the like; a deaf service manager is no error."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    address = "\0" + path[1:] if path.startswith("@") else path  # an abstract socket
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(message.encode("ascii"), address)


def notify_reloading() -> None:
    """Say that a reload has begun; systemd wants the moment, to tell it from an older one."""
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
