"""What `head`, `tail` and `cat` read: a stream of the job, or a file of its sandbox.

Reading is by position (pread): the job's own offset in a file it shares with
us stays where it is.
"""

import os

from jobmon_agent import sandbox
from jobmon_agent.job import Job, VerbFailure
from jobmon_wire import limits
from jobmon_wire.verbs import STREAMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, Optional

BLOCK = limits.FRAME_PAYLOAD  # bytes a read, and so a frame


class Source:
    """An open file; ``close`` it, or use it in a ``with``."""

    def __init__(self, descriptor: int, is_stream: bool, name: str) -> None:
        self.descriptor = descriptor
        self.is_stream = is_stream  # the job's own descriptor: it is the same file for ever
        self._name = name

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; a stream stays open, as it is the job's."""
        if not self.is_stream:
            os.close(self.descriptor)

    def size(self) -> int:
        """Bytes of the file now."""
        return os.fstat(self.descriptor).st_size

    def read(self, start: int, length: int = BLOCK) -> bytes:
        """At most ``length`` bytes from a position; fewer, or none, at the end.

        Raises:
            VerbFailure: file-refused, as by a disk that fails.
        """
        try:
            return os.pread(self.descriptor, min(length, BLOCK), start)
        except OSError as error:
            raise sandbox.failure(error, self._name)

    def blocks(self, start: int, end: int) -> "Iterator[bytes]":
        """The bytes from one position to another, as far as there are any."""
        while start < end:
            data = self.read(start, end - start)
            if not data:
                return
            yield data
            start += len(data)


def open_source(job: Job, name: str) -> Source:
    """Open what a FILE argument names: ``stdout``, ``stderr`` or a path.

    Raises:
        VerbFailure: no-stream, or as ``sandbox.open_file``.
    """
    if name not in STREAMS:
        return Source(sandbox.open_file(job, name), False, name)
    streams: "Dict[str, Optional[int]]" = {"stdout": job.stdout, "stderr": job.stderr}
    descriptor = streams[name]
    if descriptor is None:
        raise VerbFailure(
            "no-stream",
            "%s of this job is no file (a pipe, a terminal or closed), and reading it would take bytes from its "
            "reader; start the job with jobmond.pyz --log-file FILE, or redirect its %s to a file" % (name, name),
        )
    return Source(descriptor, True, name)
