"""Runs of NUL bytes as a few words.

A job that goes on writing to a log that was truncated leaves NULs where the
log was, often millions.  Shown one by one they would bury what comes after
them.
"""

import re

FEWEST = 16  # NULs that are a run; fewer are shown
_RUN = re.compile(b"\\0+")


class Nuls:
    """Puts ``[10001 NUL bytes]`` for each run, over the pieces in which the bytes come."""

    def __init__(self) -> None:
        self._waiting = 0  # NULs at the end of the last piece: the run may go on

    def feed(self, data: bytes) -> bytes:
        """The bytes with their runs in words; a run at the end comes with what follows it."""
        rest = data.lstrip(b"\0")
        self._waiting += len(data) - len(rest)
        if not rest:
            return b""
        before = self.close()
        whole = rest.rstrip(b"\0")
        self._waiting = len(rest) - len(whole)
        return before + _RUN.sub(lambda run: _words(len(run.group())), whole)

    def skip(self, count: int) -> None:
        """So many NULs that were never written."""
        self._waiting += count

    def close(self) -> bytes:
        """The run that waited, in words."""
        count, self._waiting = self._waiting, 0
        return _words(count)


def _words(count: int) -> bytes:
    return bytes(count) if count < FEWEST else b"[%d NUL bytes]" % count
