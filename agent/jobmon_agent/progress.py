"""Progress lines: what the job writes to the file that JOBMON_LOG names.

Appending (``>>``) and writing anew (``>``) are both read.  The job is free to
write what and as fast as it likes, so lines are bounded in length and number.
Nothing here knows how lines reach the server.
"""

import os

from jobmon_wire import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Optional, Tuple

    Seen = Tuple[int, int, int]  # inode, size, time of change
    State = Tuple[Seen, int, bytes, bytes]  # what was seen, position, fingerprint, rest

INTERVAL = 1.0  # s between two looks: a stat is 2 us, and people do not read faster
RATE = 10.0  # lines a second that pass in the long run
BURST = 100.0  # lines that pass at once
_BLOCK = 64 * limits.KIB  # bytes read at a look
_BACKLOG = limits.MIB  # bytes; what lies farther back is passed over
_FINGERPRINT = 64  # bytes before the position, kept to notice that the file was written anew


class Progress:
    """The position in one job's progress file.

    Args:
        directory: descriptor of the job's working directory.
        name: of the file in it; empty if there is none.
        state: where an earlier worker stopped, None for the start.
    """

    def __init__(self, directory: int, name: str, state: "Optional[State]" = None) -> None:
        self._directory = directory
        self._name = name
        self._seen: "Optional[Seen]" = None
        self._position = 0
        self._fingerprint = b""
        self._rest = b""  # of a line without its end
        if state is not None:
            self._seen, self._position, self._fingerprint, self._rest = state
        self._allowed = BURST
        self._filled_at: "Optional[float]" = None
        self._dropped = 0

    def lines(self, now: float) -> "List[str]":
        """The lines written since the last look; ``now`` by any steady clock."""
        if not self._name:
            return []
        self._refill(now)
        return list(self._limited(self._read()))

    @property
    def state(self) -> "Optional[State]":
        """Where reading has come to; None where nothing was read."""
        if self._seen is None:
            return None
        return self._seen, self._position, self._fingerprint, self._rest[: limits.LOG_LINE]

    def _read(self) -> "List[str]":
        try:
            # The job may have put anything in its place: never wait for a FIFO, never follow a link.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
            descriptor = os.open(self._name, flags, dir_fd=self._directory)
        except OSError:
            return []
        try:
            return self._read_from(descriptor)
        except OSError:  # a directory, or a device that cannot be read at a position
            return []
        finally:
            os.close(descriptor)

    def _read_from(self, descriptor: int) -> "List[str]":
        status = os.fstat(descriptor)
        seen = (status.st_ino, status.st_size, status.st_mtime_ns)
        if seen == self._seen and status.st_size == self._position:
            # Nothing came behind a line without an end: so that was all of it.
            rest, self._rest = self._rest, b""
            return [_text(rest)] if rest else []
        if self._is_written_anew(descriptor, seen):
            self._position, self._rest = 0, b""
        if status.st_size - self._position > _BACKLOG:
            self._position, self._rest = status.st_size - _BLOCK, b""
        self._seen = seen
        data = os.pread(descriptor, _BLOCK, self._position)
        self._position += len(data)
        start = max(0, self._position - _FINGERPRINT)
        self._fingerprint = os.pread(descriptor, self._position - start, start)
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()[: 4 * limits.LOG_LINE]
        return [_text(line) for line in lines if line.strip()]

    def _is_written_anew(self, descriptor: int, seen: "Tuple[int, int, int]") -> bool:
        if self._seen is None or seen[0] != self._seen[0] or seen[1] < self._position:
            return True
        if seen[1] == self._position:  # as long as before, yet changed
            return True
        start = self._position - len(self._fingerprint)
        return os.pread(descriptor, len(self._fingerprint), start) != self._fingerprint

    def _refill(self, now: float) -> None:
        if self._filled_at is not None:
            self._allowed = min(BURST, self._allowed + RATE * (now - self._filled_at))
        self._filled_at = now

    def _limited(self, lines: "List[str]") -> "Iterator[str]":
        for line in lines:
            if self._allowed < 1:
                self._dropped += 1
                continue
            if self._dropped:
                yield "(%d lines left out: more than %d a second)" % (self._dropped, RATE)
                self._dropped = 0
            self._allowed -= 1
            yield line


def _text(line: bytes) -> str:
    return line[: 4 * limits.LOG_LINE].decode("utf-8", "replace").strip()[: limits.LOG_LINE]
