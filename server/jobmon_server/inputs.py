"""What a user sends while being answered: frames, the first of which says what is asked.

Read as it comes, never ahead of the one who takes it; what is held is one read
of the connection.  The user sends no more than was granted, so nobody here
waits for an agent, and a user who leaves is noticed at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

from starlette.types import Receive

from jobmon_server.bodies import BODY_SECONDS
from jobmon_server.refusals import RefusedError
from jobmon_wire.frames import INPUT, REQUEST, TYPED, Frame, FrameError, FrameReader


class Input:
    """The body of one request, as frames."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._reader = FrameReader(TYPED | {REQUEST})
        self._ready: deque[Frame] = deque()
        self._is_over = False  # the body has come to its end
        self._has_left = False

    async def opening(self) -> dict[str, Any]:
        """The first frame's object, a REQUEST's.

        Raises:
            RefusedError: it is another, or does not come.
        """
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while not (self._ready or self._is_over or self._has_left):
                    await self._read()
            if self._ready and self._ready[0].type == REQUEST:
                return self._ready.popleft().document()
        except TimeoutError as error:
            raise RefusedError("too-large", "the request's body came too slowly") from error
        except FrameError as error:
            raise RefusedError("bad-request", f"the body is not what the protocol says: {error}") from error
        raise RefusedError("bad-request", "the body must begin with a REQUEST frame")

    async def typed(self) -> AsyncGenerator[Frame]:
        """What is typed, until the user has left; the end of the body is the end of the input.

        Raises:
            FrameError: the user breaks the protocol.
        """
        while not self._has_left:
            while self._ready:
                frame = self._ready.popleft()
                if frame.type == REQUEST:
                    raise FrameError("a second REQUEST")
                yield frame
            was_over = self._is_over
            await self._read()
            if self._is_over and not was_over:
                self._ready.append(Frame(INPUT, b"", b""))

    async def _read(self) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._has_left = True
            return
        self._ready += self._reader.feed(message.get("body", b""))
        self._is_over = not message.get("more_body", False)
