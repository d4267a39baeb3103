"""Keystrokes, one after the other: the next is not looked at before all that the one before meant is done.

A terminal hands over what is typed fast, or sent by a program, in one piece.
Textual gives each key to whatever has the focus at that moment, and a key that
moves the focus is heard only later: those behind a ``/`` would go to the list,
where an ``x`` kills.  So a key waits until the one before it has gone all the
way from the widget up to the application, and what it caused there as well.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from textual.dom import DOMNode
from textual.events import Key, Paste
from textual.message_pump import MessagePump

Typed: TypeAlias = Key | Paste
Forward: TypeAlias = Callable[[Typed], Awaitable[None]]

ROUNDS = 2  # up to the application: behind the key, whose binding is found there, then behind what the binding did
LAPS = 2  # through each queue on the way: behind what came, then behind what was posted at its coming
PATIENCE = 2.0  # s for a key; a widget that hangs, or is gone with its dialog, must not keep the rest


class Keystrokes:
    """The keys that wait, and the one that is under way.

    Args:
        app: the way's end, in whose queue the next key is begun.
        focused: what a key would be given to now.
        forward: gives it a key.
    """

    def __init__(self, app: MessagePump, focused: Callable[[], DOMNode], forward: Forward) -> None:
        self._app = app
        self._focused = focused
        self._forward = forward
        self._waiting: deque[Typed] = deque()
        self._turn = 0
        self._timer: asyncio.TimerHandle | None = None  # while a key is under way

    @property
    def is_busy(self) -> bool:
        """Whether a key waits or is under way."""
        return bool(self._waiting) or self._timer is not None

    async def take(self, typed: Typed) -> None:
        """A key came from the terminal."""
        self._waiting.append(typed)
        if self._timer is None:
            await self._begin()

    async def _begin(self) -> None:
        if not self._waiting:
            return
        self._turn += 1
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._end, self._turn)
        focused = self._focused()
        way: list[MessagePump] = []
        for node in focused.ancestors_with_self * ROUNDS:
            way += [node] * LAPS
        try:
            await self._forward(self._waiting.popleft())
        finally:
            self._go(way, self._turn)

    def _go(self, way: list[MessagePump], turn: int) -> None:
        """Wait behind what each on the way has to do; one that is gone has nothing to do."""
        while way:
            if way.pop(0).call_later(self._go, way, turn):
                return
        self._end(turn)

    def _end(self, turn: int) -> None:
        if turn == self._turn and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._app.call_later(self._begin)
