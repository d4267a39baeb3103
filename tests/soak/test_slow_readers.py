"""A hundred readers that take a kilobyte a second of what could come without end: the server does not grow by it.

The source is a file that is one hole: no job writes faster.  What a reader
does not take stays where it is, at the agent.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from jobmon_console.contexts import Context
from jobmon_console.tls import connect, open_link
from jobmon_wire import limits
from tests.end_to_end.sites import OwnSite

PAIRS = int(os.environ.get("JOBMON_SOAK_PAIRS", "100"))
EACH = 4  # readers of a job
SECONDS = float(os.environ.get("JOBMON_SOAK_SECONDS", "60"))
HOLE = 2**40  # bytes
PATIENCE = 120.0  # s for a first byte; the machine may be busy
OTHERS = 10  # s between two readers who take what they asked for
RATE = 1024  # bytes a second that a reader takes
# An agent may send a window before the reader has taken anything, so that much is held; and TLS and the transport
# have some copies of what is being written.
GROWTH = 3.5 * limits.CREDIT_WINDOW  # bytes a pair
LATER = 4 * limits.MIB  # of all pairs, once all windows are full
SENTENCE = "import time; open('hole', 'wb').truncate({}); print('ready', flush=True); time.sleep(3600)"


class Reader:
    """One slow reader."""

    def __init__(self, context: Context) -> None:
        link = open_link(context)
        self._host = link.host
        self._secure = connect(link)
        self._secure.settimeout(PATIENCE)
        self.taken = 0  # bytes

    def ask(self, job: str) -> None:
        """Ask for all of the file."""
        body = json.dumps({"verb": "cat", "arguments": {"file": "hole"}}).encode()
        head = f"POST /v1/jobs/{job}/query HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._secure.sendall(head.encode() + body)

    def take(self) -> None:
        """Take what is due in a second."""
        self.taken += len(self._secure.recv(RATE))

    def close(self) -> None:
        self._secure.close()


def resident(pid: int) -> int:
    """Bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_slow_readers_of_endless_answers_cost_the_server_little(tmp_path: Path) -> None:
    site = OwnSite("caf", tmp_path / "site")
    readers: list[Reader] = []
    try:
        jobs = [site.start_job(SENTENCE.format(HOLE)) for _ in range(-(-PAIRS // EACH))]
        credential = str(site.scratch / "alice.jobmon")
        readers = [Reader(Context("caf", credential=credential)) for _ in range(PAIRS)]
        assert site.server is not None
        assert site.jobmon("cat", jobs[0].id).stdout == "ready\n"
        before = resident(site.server.pid)

        for number, reader in enumerate(readers):
            reader.ask(jobs[number // EACH].id)
        sizes, others, end = [before], [], time.monotonic() + SECONDS
        while time.monotonic() < end:
            begun = time.monotonic()
            for reader in readers:
                reader.take()
            sizes.append(resident(site.server.pid))
            if not len(sizes) % OTHERS:
                others.append(site.jobmon("cat", jobs[0].id).stdout)
            time.sleep(max(0.0, begun + 1 - time.monotonic()))

        grown = [(size - before) / limits.MIB for size in sizes]
        print(
            f"\n{PAIRS} pairs, {SECONDS:.0f} s, {len(grown)} looks: grown by {max(grown):.1f} MiB, last {grown[-1]:.1f}"
        )
        assert all(reader.taken > RATE for reader in readers)
        assert set(others) == {"ready\n"}
        assert max(sizes) - before < PAIRS * GROWTH
        assert max(sizes) - sizes[len(sizes) // 2] < LATER
    finally:
        for reader in readers:
            reader.close()
        site.stop()
