"""Ports for servers of the tests, which may be stopped and started anew on the same ones."""

import contextlib
import random
import socket
from pathlib import Path

LOWEST = 20_000  # below are services of the machine
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")  # its first number and last: outgoing connections take these
LEAST = 1_000  # numbers to choose from, or else any will do


def free_ports(number: int) -> list[int]:
    """Ports of this machine's own address that nobody has, for TCP or datagrams, and no connection takes by itself."""
    chosen: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(chosen) < number:
            with contextlib.suppress(OSError):
                chosen.append(_held(stack, _a_number()))
    return chosen


def _a_number() -> int:
    first = int(EPHEMERAL.read_text().split()[0])
    return random.randrange(LOWEST, first) if first - LOWEST >= LEAST else 0


def _held(stack: contextlib.ExitStack, port: int) -> int:
    """The port, which is kept from others for the moment; 0: one that the kernel chooses.

    Raises:
        OSError: somebody has it.
    """
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        sock = stack.enter_context(socket.socket(type=kind))
        sock.bind(("127.0.0.1", port))
        port = int(sock.getsockname()[1])
    return port
