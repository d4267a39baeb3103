"""Where a reader of a followed file is, what was told it on the way, and whether it may go on.

A follow may break off: the server is restarted, the agent is gone for a
moment, the network fails.  The place is kept here, so that the reader asks
again and goes on with the next byte.  Nothing here asks, waits or prints.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jobmon_console.errors import JobMonError, RefusedError, UnreachableError
from jobmon_console.replies import Kept
from jobmon_wire.cursor import Cursor, CursorError, Trail
from jobmon_wire.frames import DATA, NOTE, Frame
from jobmon_wire.verbs import is_text

# Refusals that pass: somebody will answer again.
PASSING = frozenset(["agent-gone", "job-silent", "busy", "too-many", "draining", "timeout"])


def passes(error: JobMonError | None) -> bool:
    """Asking again may help."""
    return isinstance(error, UnreachableError) or (isinstance(error, RefusedError) and error.code in PASSING)


class Rest(NamedTuple):
    """What was kept of an ended job's output and the reader has not had."""

    data: bytes
    missing: int  # bytes before it that were not kept
    is_another: bool  # the output was truncated since: this is all that was kept of it


class Place:
    """A reader's place in a followed file."""

    def __init__(self) -> None:
        self._trail: Trail | None = None  # None: never told
        self.file: str | None = None  # which file a pattern has found: that one is followed, whatever else matches

    @property
    def cursor(self) -> str | None:
        """Where to go on, for the argument ``resume``; None: that cannot be."""
        return None if self._trail is None else self._trail.cursor().text()

    @property
    def identity(self) -> tuple[int, int] | None:
        """Device and inode of the file that is read; None: nobody has told."""
        if self._trail is None:
            return None
        cursor = self._trail.cursor()
        return cursor.device, cursor.inode

    @property
    def offset(self) -> int:
        """Bytes from the start of the file."""
        return 0 if self._trail is None else self._trail.offset

    def take(self, frame: Frame) -> None:
        """Go on over a frame of the answer."""
        if frame.type == DATA and self._trail is not None:
            self._trail.feed(frame.payload)
        elif frame.type == NOTE and "cursor" in (note := frame.document()):
            if is_text(note.get("file")):
                self.file = note["file"]
            try:
                self._trail = Trail(Cursor.read(note["cursor"]))
            except CursorError:  # an agent's nonsense: a follow that breaks off stays broken
                self._trail = None

    def rest(self, kept: Kept) -> Rest:
        """What of the kept output is behind the place."""
        cursor = None if self._trail is None else self._trail.cursor()
        at = self.offset - kept.start
        if cursor is None or at < 0:
            return Rest(kept.data, -at, False)
        start = at - cursor.length
        if at > len(kept.data) or (start >= 0 and not cursor.fits(kept.data[start:at])):
            return Rest(kept.data, kept.start, True)
        return Rest(kept.data[at:], 0, False)


def told(note: dict[str, Any], file: str) -> str:
    """A note in words, for people; empty for one that is for the reader alone.

    Whoever prints it passes it through ``safe``.
    """
    kind = str(note.get("kind"))
    return _WORDS[kind](note, file) if kind in _WORDS else f"note: {kind}"


def ending(told: Any) -> str:
    """How a job ended, in words."""
    status = told if isinstance(told, dict) else {}
    if status.get("signal") is not None:
        return f"the job has ended by signal {status['signal']}" + (", core dumped" if status.get("core") else "")
    if status.get("code") is not None:
        return f"the job has ended with exit {status['code']}"
    return "the job has ended" + (", its exit status is unknown" if status else "")


def _gap(note: dict[str, Any]) -> str:
    files = note.get("files")
    if not isinstance(files, int):
        return "bytes may be missing here: the file was changed where nobody looked"
    return f"bytes are missing here: {files} file{'s' * (files != 1)} came and went unread"


_WORDS: dict[str, Callable[[dict[str, Any], str], str]] = {
    "at": lambda note, file: "",
    "waiting": lambda note, file: f"waiting for {file}: it is not there yet",
    "truncated": lambda note, file: "the file was truncated; going on from its start",
    "rotated": lambda note, file: "the file was replaced by a new one; going on there",
    "unlinked": lambda note, file: "the file was removed; going on with what is still written to it",
    "gap": lambda note, file: _gap(note),
    "skipped": lambda note, file: f"{note.get('bytes')} bytes were skipped: they came faster than they could be shown",
    "hole": lambda note, file: f"{note.get('bytes')} bytes here were never written: the file has a hole",
    "overlong": lambda note, file: "the lines are longer than what is searched for their start",
    "unsearched": lambda note, file: (
        f"the search ended after {note.get('entries', '?')} names; there may be more files that match"
    ),
    "refused": lambda note, file: str(note.get("message")),
    "cut": lambda note, file: (
        f"cut after {note.get('bytes', '?')} bytes, the file has {note.get('size', '?')};"
        " see others with: jobmon cat --offset BYTES --length BYTES"
    ),
    "more": lambda note, file: "there is more than was sent",
    "ended": lambda note, file: ending(note.get("exit")),
}
