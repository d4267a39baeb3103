"""A long way between two network namespaces: what takes it arrives late, out of order, twice or never.

Two TUN devices, and a thread that carries packets from one to the other.  Its
chances come from a seed; when a packet comes does not.
"""

import contextlib
import fcntl
import heapq
import os
import random
import select
import struct
import threading
import time
from typing import NamedTuple

DEVICE = "/dev/net/tun"
LARGEST = 2048  # bytes of a packet; the devices' own limit is 1,500
SEED = 1

_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x1001
_READABLE = 1.0  # s between two looks whether the way is still wanted


class Way(NamedTuple):
    """What happens to packets, in either direction."""

    delay: float = 0.0  # s
    jitter: float = 0.0  # s more or less
    lost: float = 0.0  # share of all
    doubled: float = 0.0  # share of all


class Wan(threading.Thread):
    """Carries packets between the two devices until it is closed; the way is short and even at first.

    Args:
        ends: descriptors of the devices, from ``open_device``.
    """

    def __init__(self, *ends: int) -> None:
        super().__init__(daemon=True)
        self._other = dict(zip(ends, reversed(ends), strict=True))
        self.way = Way()
        self._random = random.Random(SEED)
        self._waiting: list[tuple[float, int, int, bytes]] = []  # when it is due, its number, where to, the packet
        self._number = 0
        self._closed = threading.Event()
        self.start()

    def close(self) -> None:
        """Carry nothing any more; the devices go."""
        self._closed.set()
        self.join()
        for descriptor in self._other:
            os.close(descriptor)

    def run(self) -> None:
        """Carry."""
        while not self._closed.is_set():
            due = self._waiting[0][0] - time.monotonic() if self._waiting else _READABLE
            readable, _, _ = select.select(list(self._other), [], [], min(max(0.0, due), _READABLE))
            for descriptor in readable:
                self._take(descriptor)
            self._deliver()

    def _take(self, descriptor: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while packet := os.read(descriptor, LARGEST):
                if self._random.random() < self.way.lost:
                    continue
                for _ in range(1 + (self._random.random() < self.way.doubled)):
                    late = self.way.delay + self._random.uniform(-self.way.jitter, self.way.jitter)
                    self._number += 1
                    due = time.monotonic() + late
                    heapq.heappush(self._waiting, (due, self._number, self._other[descriptor], packet))

    def _deliver(self) -> None:
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            _, _, descriptor, packet = heapq.heappop(self._waiting)
            with contextlib.suppress(OSError):  # its queue is full: lost, as on any way
                os.write(descriptor, packet)


def open_device(name: str) -> int:
    """A TUN device where the calling thread stands; it lasts as long as its descriptor."""
    descriptor = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode("ascii"), _IFF_TUN_NO_PI))
    return descriptor
