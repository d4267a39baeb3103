"""A channel: one agent's exchange of frames, open as long as both ends live.

Requests go down, answers come up, many side by side, told apart by request id.
A frame for a request that nobody waits for is dropped: it may be late, doubled
or forged.  The channel knows its agent as a connection and a ``Hearer``; who
may ask for what was decided before.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from jobmon_server.answers import Answer
from jobmon_server.refusals import RefusedError
from jobmon_wire import frames, limits
from jobmon_wire.frames import Frame, FrameError, FrameReader, write_credit, write_frame, write_object
from jobmon_wire.verbs import Verb, needed_arguments

MEDIA_TYPE = "application/vnd.jobmon.frames"
# bytes waiting for an agent that does not read; 16 requests and their credits are 100 KiB, what is typed 128 KiB
OUTBOUND = 512 * limits.KIB
FAREWELL = 1.0  # s for the last bytes to leave before the connection is dropped

_log = logging.getLogger("jobmon.server")


class Hearer(Protocol):
    """Who listens to what an agent says besides answers."""

    def alive(self) -> None:
        """Something came."""

    def vitals(self, document: dict[str, Any]) -> None:
        """A beat; raises FrameError where it is none."""

    def over(self, document: dict[str, Any]) -> None:
        """The job has ended; raises FrameError where the document cannot be."""

    def progress(self, document: dict[str, Any]) -> None:
        """A line of progress; raises FrameError where it is none."""

    def lets_go(self, channel: Channel) -> bool:
        """Whether the agent may close the channel; where it may, no request comes by it any more."""

    def gone(self, channel: Channel) -> None:
        """The channel has ended."""


class Channel:
    """One agent's channel.

    Args:
        uuid: of the job.
        ping: s between our own beats; three without a sign of the agent end the channel.
        hearer: is told what comes.
    """

    def __init__(self, uuid: str, ping: float, hearer: Hearer) -> None:
        self.uuid = uuid
        self.is_open = True
        self._ping = ping
        self._hearer = hearer
        self._answers: dict[bytes, Answer] = {}
        self._outbound: list[bytes] = []
        self._waiting = 0  # bytes in _outbound
        self._sleep: asyncio.Future[None] | None = None  # of the writing, while there is nothing; an event takes a KiB
        self._unheard = 0  # our beats since the agent's last sign; a server that stood still counts one, however long
        self._end = ("agent-gone", "the job's agent went away before the answer was complete")

    @property
    def is_idle(self) -> bool:
        """No answer is under way."""
        return not self._answers

    def ask(self, request: bytes, verb: Verb, arguments: dict[str, Any]) -> Answer:
        """Send a request; its answer fills as frames come.

        Raises:
            RefusedError: ``too-many`` answers are under way; ``busy``, a shell is.
        """
        if len(self._answers) >= limits.REQUESTS_PER_JOB:
            raise RefusedError("too-many", f"{len(self._answers)} requests to this job are under way; end one first")
        if verb.takes_input and any(answer.takes_input for answer in self._answers.values()):
            raise RefusedError("busy", f"somebody has a {verb.name} of this job open; there is one at a time")
        window = limits.INPUT_WINDOW if verb.takes_input else 0
        answer = Answer(request, lambda granted: self._send(write_credit(request, granted)), window)
        self._answers[request] = answer
        asked = {"verb": verb.name, "arguments": needed_arguments(verb, arguments)}
        self._send(write_object(frames.REQUEST, request, asked))
        return answer

    def type(self, answer: Answer, frame: Frame) -> None:
        """Pass on what the reader of the answer types.

        Raises:
            FrameError: more than was granted.
        """
        if not answer.outcome:
            data = write_frame(frame.type, answer.request, frame.payload)
            answer.type(len(data))
            self._send(data)

    def cancel(self, answer: Answer, code: str = "cancelled", message: str = "the reader left") -> None:
        """End the answer: nobody reads it any more, or nobody may."""
        if self._answers.pop(answer.request, None) is not None:
            self._send(write_frame(frames.CANCEL, answer.request))
            answer.fail(code, message)

    def close(self, reason: str = "", retry_after: float = 0.0) -> None:
        """End the channel; with a reason the agent is told when to come back."""
        if self.is_open and reason:
            self._send(write_object(frames.GOODBYE, frames.CHANNEL, {"reason": reason, "retry_after": retry_after}))
            self._end = ("draining", f"{reason}; ask again in a moment")
        self.is_open = False
        self._wake()

    async def serve(self, receive: Receive, send: Send) -> None:
        """Run the exchange to its end."""
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(part) for part in (self._read(receive), self._write(send))]
        self._timer = loop.call_later(self._ping, self._beat, tasks[0])
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.is_open = False
            self._timer.cancel()
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            self._forsake()
        for result in results:
            if isinstance(result, FrameError):
                facts = {"job": self.uuid, "cause": result}
                _log.warning("an agent broke the protocol; its channel is dropped", extra={"facts": facts})
            elif isinstance(result, Exception):
                raise result
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _forsake(self) -> None:
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            answer.fail(*self._end)
        self._hearer.gone(self)

    async def _read(self, receive: Receive) -> None:
        reader = FrameReader(frames.UP)
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            if body := message.get("body", b""):
                self._unheard = 0
                self._hearer.alive()
                for frame in reader.feed(body):
                    self._take(frame)
            if not message.get("more_body", False):
                return

    async def _write(self, send: Send) -> None:
        while self.is_open or self._outbound:
            if self.is_open and not self._outbound:
                self._sleep = asyncio.get_running_loop().create_future()
                await self._sleep
            parts, self._outbound = self._outbound, []
            self._waiting = 0
            if parts:
                await send({"type": "http.response.body", "body": b"".join(parts), "more_body": True})

    def _beat(self, reading: asyncio.Task[None]) -> None:
        """Say that we are there, from time to time; end the reading, and so the channel, where the agent does not."""
        loop = asyncio.get_running_loop()
        self._send(write_frame(frames.PING, payload=int(loop.time() * 1000).to_bytes(8, "big")))
        self._unheard += 1
        if self._unheard <= limits.SILENT_AFTER:
            self._timer = loop.call_later(self._ping, self._beat, reading)
        else:
            reading.cancel()

    def _take(self, frame: Frame) -> None:
        if frame.type in frames.DIALOGUE:
            answer = self._answers.get(frame.request)
            if answer is None:
                return
            answer.put(frame)
            if answer.outcome:
                del self._answers[frame.request]
        elif frame.type == frames.PING:
            if len(frame.payload) != 8:
                raise FrameError(f"a PING of {len(frame.payload)} bytes, 8 were expected")
            self._send(write_frame(frames.PONG, payload=frame.payload))
        elif frame.type == frames.VITALS:
            self._hearer.vitals(frame.document())
        elif frame.type == frames.LOG:
            self._hearer.progress(frame.document())
        elif frame.type == frames.OVER:
            self._hearer.over(frame.document())
            self._end = ("job-ended", "the job has ended")
        elif frame.type == frames.LEAVE and not self._answers and self._hearer.lets_go(self):
            self._send(write_frame(frames.LEAVE))
            self.close()

    def _wake(self) -> None:
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(None)

    def _send(self, data: bytes) -> None:
        if not self.is_open:
            return
        self._outbound.append(data)
        self._waiting += len(data)
        if self._waiting > OUTBOUND:
            # An agent that asks and asks and never reads the replies.
            self.is_open = False
            self._outbound.clear()
        self._wake()


class ChannelResponse(Response):
    """The exchange as a response: it begins at once and streams both ways."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(media_type=MEDIA_TYPE)
        self._channel = channel

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the channel."""
        # The body may end in the middle of a frame: nothing can follow it on this connection.
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._channel.serve(receive, send)
