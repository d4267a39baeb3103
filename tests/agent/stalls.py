"""How long a large job is held up when it maps memory: run as a job, and read by tests.

    python stalls.py BYTES

Fills so much memory with small pages, then maps, touches and unmaps one page
again and again.  It writes a line for every quarter of a second into
``stalls`` in the working directory: when it ended, the longest of these
in which the kernel made it sleep, and the longest of all.
"""

import ctypes
import mmap
import resource
import sys
import time
from pathlib import Path
from typing import NamedTuple

MADV_NOHUGEPAGE = 15
WINDOW = 0.25  # s


class Window(NamedTuple):
    """What a quarter of a second brought."""

    end: float  # s of the monotonic clock
    slept: float  # s; a wait for a lock, and no matter how busy the machine is
    longest: float  # s, as the job sees it


def read(path: Path, since: float, until: float) -> list[Window]:
    """The windows that lie between two moments."""
    windows = [Window(*map(float, line.split())) for line in path.read_text().splitlines() if line.count(" ") == 2]
    return [window for window in windows if since + WINDOW <= window.end <= until]


def fill(size: int) -> mmap.mmap:
    held = mmap.mmap(-1, size)
    address = ctypes.addressof(ctypes.c_char.from_buffer(held))
    ctypes.CDLL(None).madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), MADV_NOHUGEPAGE)
    for at in range(0, size, mmap.PAGESIZE):
        held[at] = 1
    return held


def sleeps() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


def main() -> None:
    held = fill(int(sys.argv[1]))
    with open("stalls", "w", buffering=1) as file:
        end, slept, longest = time.monotonic() + WINDOW, 0.0, 0.0
        while held:
            before, began = sleeps(), time.monotonic()
            page = mmap.mmap(-1, mmap.PAGESIZE)
            page[0] = 1
            page.close()
            now = time.monotonic()
            longest = max(longest, now - began)
            if sleeps() != before:
                slept = max(slept, now - began)
            if now >= end:
                file.write(f"{now} {slept} {longest}\n")
                end, slept, longest = now + WINDOW, 0.0, 0.0


if __name__ == "__main__":
    main()
