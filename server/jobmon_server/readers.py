"""Readers: the answers under way, by person.

A stream costs memory as long as it is open, so nobody may have more than a
share; and a server that goes down waits a moment for those that are open.
"""

from __future__ import annotations

import asyncio

from jobmon_server.peer import Peer
from jobmon_server.refusals import RefusedError

SHARE = 256  # streams of one person; a console with 20 tails and 10 tops is far below


class Readers:
    """How many streams each person reads."""

    def __init__(self) -> None:
        self._streams: dict[str, int] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        """Streams of all together."""
        return sum(self._streams.values())

    def enter(self, peer: Peer) -> None:
        """A stream opens.

        Raises:
            RefusedError: ``too-many``.
        """
        number = self._streams.get(peer.holder, 0)
        if number >= SHARE:
            raise RefusedError("too-many", f"you have {number} streams open; end one first")
        self._streams[peer.holder] = number + 1
        self._idle.clear()

    def leave(self, peer: Peer) -> None:
        """A stream has ended."""
        number = self._streams[peer.holder] - 1
        if number:
            self._streams[peer.holder] = number
        else:
            del self._streams[peer.holder]
        if not self._streams:
            self._idle.set()

    async def gone(self) -> None:
        """Return when nobody reads."""
        await self._idle.wait()
