"""Reading what the users' port answers, whichever transport carried it.

A refusal becomes the error of its code, NDJSON its rows, a stream of frames
its frames up to END.  Fed with bytes; knows of no connection.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from jobmon_console.errors import AnswerError, CredentialRefusedError, CutOffError, JobMonError, RefusedError
from jobmon_wire.frames import ANSWER, END, Frame, FrameError, FrameReader

LONGEST_ROW = 64 * 2**20  # bytes; a snapshot's line names 100,000 jobs in the worst case
LARGEST_DOCUMENT = 64 * 2**20  # bytes; 1,000 job credentials are 2 MiB
LARGEST_REFUSAL = 2**20  # bytes


Record = dict[str, Any]  # one row


class Kept(NamedTuple):
    """The last output kept of a job that has ended."""

    data: bytes
    start: int  # bytes from the start of the whole output
    total: int | None  # bytes of the whole output, where it is known
    other: int = 0  # bytes of the job's other stream, where that is another file


def refused(status: int, body: bytes) -> JobMonError:
    """The error for a response that is not 200."""
    error = _read(body).get("error") if body[:1] == b"{" else None
    if not isinstance(error, dict) or not isinstance(error.get("code"), str):
        return AnswerError(f"HTTP status {status} without a reason; is this a JobMon server's port for users?")
    code, message = error["code"], str(error.get("message") or error["code"])
    if status == 401 or code == "credential-refused":
        return CredentialRefusedError(message)
    facts = {key: value for key, value in error.items() if key not in ("code", "message")}
    return RefusedError(code, message, facts)


def document(body: bytes) -> Any:
    """The one JSON value of a body."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise AnswerError("the answer is not JSON; is this a JobMon server's port for users?") from None


def kept(body: bytes, header: Callable[[str], str | None]) -> Kept:
    """Output kept, from the body and the headers that place it.

    Args:
        header: gives the value of one, by its name in small letters.
    """
    begins, total, other = (
        _length(header(name)) for name in ("jobmon-output-start", "jobmon-output-bytes", "jobmon-other-bytes")
    )
    return Kept(body, begins or 0, total, other or 0)


def _length(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


class RowReader:
    """Cuts NDJSON into rows."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._waiting = 0  # bytes

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The rows that are whole now.

        Raises:
            RefusedError: a row is a refusal: the server met trouble on the way.
            AnswerError: a row is no object, or too long.
        """
        *lines, rest = data.split(b"\n")
        if lines:
            self._parts.append(lines[0])
            lines[0] = b"".join(self._parts)
            self._parts, self._waiting = [], 0
        if rest:
            self._parts.append(rest)
            self._waiting += len(rest)
            if self._waiting > LONGEST_ROW:
                raise AnswerError(f"a row of over {LONGEST_ROW} bytes; is this a JobMon server?")
        for line in lines:
            if line.strip():
                yield _row(line)

    def close(self) -> None:
        """The answer is over.

        Raises:
            CutOffError: in the middle of a row.
        """
        if self._waiting:
            raise CutOffError("the answer broke off in the middle; ask again")


class AnswerReader:
    """Cuts the answer to a query into frames and takes its END.

    Args:
        allowed: the types that may come.
        acts: what was asked for may be done although its END did not come.
    """

    def __init__(self, allowed: frozenset[int] = ANSWER, *, acts: bool = True) -> None:
        self._frames = FrameReader(allowed)
        self._acts = acts
        self.is_done = False

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now, without END.

        Raises:
            RefusedError: the request failed.
            AnswerError: these are no frames.
        """
        try:
            for frame in self._frames.feed(data):
                if frame.type == END:
                    self._end(frame.document())
                    return
                yield frame
        except FrameError as error:
            raise AnswerError(f"the answer is not what the protocol says: {error}; compare the versions") from None

    def close(self) -> None:
        """The answer is over.

        Raises:
            CutOffError: without END: nobody knows the outcome.
        """
        if not self.is_done and not self._acts:
            raise CutOffError("the answer broke off; ask again")
        if not self.is_done:
            raise CutOffError("the answer broke off, its outcome is unknown; look at the job before asking again")

    def _end(self, end: dict[str, Any]) -> None:
        self.is_done = True
        if end.get("status") != "done":
            code = str(end.get("code") or "action-failed")
            facts = {key: value for key, value in end.items() if key not in ("status", "code", "message")}
            raise RefusedError(code, str(end.get("message") or code), facts)


def _row(line: bytes) -> dict[str, Any]:
    row = _read(line)
    error = row.get("error")
    if isinstance(error, dict) and "code" in error and len(row) == 1:
        raise RefusedError(str(error["code"]), str(error.get("message") or error["code"]))
    return row


def _read(line: bytes) -> dict[str, Any]:
    value = document(line)
    if not isinstance(value, dict):
        raise AnswerError("the answer is no object; is this a JobMon server's port for users?")
    return value
