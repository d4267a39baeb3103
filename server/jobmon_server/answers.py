"""An answer under way: frames of one request, from an agent to a reader.

Bounded by credit: the agent may send only as many bytes as were granted, and
more are granted as the reader takes them.  Runs of DATA are joined, so a pile
of small frames costs no more than their bytes.  Nothing here is parsed but the
END; the first END is the last frame.  Where the reader types, the agent grants
credit likewise, which is passed on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from jobmon_wire import answers, limits
from jobmon_wire.documents import write_document
from jobmon_wire.frames import CREDIT, DATA, END, METERED, Frame, FrameError, write_credit, write_frame

# bytes waiting, headers included; four times the window, since a RECORD of a few bytes costs a header of 24
WAITING = 4 * limits.CREDIT_WINDOW
GRANT = limits.CREDIT_WINDOW // 4  # bytes; grants this large keep CREDIT frames rare and the agent never dry

Grant = Callable[[int], None]


class Answer:
    """What one request has brought so far and the reader has not taken.

    Args:
        request: the request's id, 16 bytes.
        grant: tells the agent that it may send so many bytes more.
        window: bytes that the reader may type ahead; 0 where it may not.
    """

    def __init__(self, request: bytes, grant: Grant, window: int = 0) -> None:
        self.request = request
        self.outcome = ""  # "done" or a code of ``answers``, once it is known
        self._grant = grant
        self._credit = limits.CREDIT_WINDOW
        self._taken = 0  # bytes the reader took and the agent was not told of
        self._parts: list[bytes] = []  # whole frames
        self._run = bytearray()  # payload of DATA that will be one frame
        self._waiting = 0  # bytes in both
        self._metered = 0  # of them, bytes that used up credit
        self._window = self._typing = window  # all, and what is left
        self._granted = 0  # bytes of it that the reader was not told of
        self._woken = asyncio.Event()

    @property
    def takes_input(self) -> bool:
        """The reader may type."""
        return bool(self._window)

    def type(self, size: int) -> None:
        """So many bytes of frames were typed.

        Raises:
            FrameError: more than was granted.
        """
        if size > self._typing:
            raise FrameError("more was typed than was granted")
        self._typing -= size

    def put(self, frame: Frame) -> None:
        """Take a frame from the agent.

        Raises:
            FrameError: the agent sent more than it was granted, or granted more than there can be.
        """
        if self.outcome:
            return
        if frame.type == CREDIT:
            self._let_type(frame.credit())
            return
        if frame.type == END:
            self._finish(frame.payload, _outcome(frame))
            return
        # An empty frame would cost memory and no credit.
        if frame.type not in METERED or not frame.payload:
            return
        self._credit -= len(frame.payload)
        if self._credit < 0:
            raise FrameError("an answer beyond its credit")
        self._metered += len(frame.payload)
        if frame.type == DATA:
            if len(self._run) + len(frame.payload) > limits.FRAME_PAYLOAD:
                self._close_run()
            self._run += frame.payload
            self._waiting += len(frame.payload)
        else:
            self._close_run()
            self._add(write_frame(frame.type, self.request, frame.payload))
        if self._waiting > WAITING:
            raise FrameError("an answer of too many small frames")
        self._woken.set()

    def fail(self, code: str, message: str) -> None:
        """End it in the agent's place."""
        if not self.outcome:
            self._finish(write_document(answers.end(code, message)), code)

    async def take(self) -> bytes:
        """The frames that have come, as bytes; empty once END has been taken."""
        while not self._waiting and not self._granted and not self.outcome:
            self._woken.clear()
            await self._woken.wait()
        self._close_run()
        if self._granted:
            self._parts.insert(0, write_credit(self.request, self._granted))
            self._granted = 0
        parts, self._parts = self._parts, []
        self._taken += self._metered
        self._waiting = self._metered = 0
        return b"".join(parts)

    def took(self) -> None:
        """The reader has what was taken: the agent may send as much again."""
        if self._taken >= GRANT and not self.outcome:
            self._credit += self._taken
            self._grant(self._taken)
            self._taken = 0

    def _let_type(self, granted: int) -> None:
        if not granted or self._typing + granted > self._window:
            raise FrameError("credit for more than the window")
        self._typing += granted
        self._granted += granted
        self._woken.set()

    def _finish(self, end: bytes, outcome: str) -> None:
        self._close_run()
        self._add(write_frame(END, self.request, end))
        self._granted = 0
        self.outcome = outcome
        self._woken.set()

    def _close_run(self) -> None:
        if self._run:
            self._waiting -= len(self._run)
            self._add(write_frame(DATA, self.request, bytes(self._run)))
            self._run = bytearray()

    def _add(self, data: bytes) -> None:
        self._parts.append(data)
        self._waiting += len(data)


def _outcome(frame: Frame) -> str:
    """What the audit says of an END."""
    document = frame.document()
    if document.get("status") == "done":
        return "done"
    code = document.get("code")
    if document.get("status") != "failed" or not isinstance(code, str) or not isinstance(document.get("message"), str):
        raise FrameError("an END without status, code or message")
    # The audit keeps codes of the table only: anything else is text of a job's.
    return code if code in answers.PROBLEMS else "action-failed"
