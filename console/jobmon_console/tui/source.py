"""Where the console gets its answers: the methods of a client, and one request under way.

A ``Reading`` is a task that collects what comes; the screen empties it on its
own tick.  When nobody empties it, it stops reading, and with it, by credit,
the agent at the far end.  Nothing here draws.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

from jobmon_console.calls import Call
from jobmon_console.errors import AnswerError, JobMonError
from jobmon_console.replies import Kept
from jobmon_wire.frames import Frame

MOST_WAITING = 32  # items; frames of 64 KiB, so 2 MiB between two ticks

Item = TypeVar("Item")


class Source(Protocol):
    """What the console needs of a client of one server."""

    async def fetch(self, call: Call) -> Any:
        """The whole answer."""

    async def content(self, call: Call) -> Kept:
        """The whole answer as bytes."""

    def rows(self, call: Call) -> AsyncIterator[dict[str, Any]]:
        """The objects of a list, as they come."""

    def frames(self, call: Call) -> AsyncIterator[Frame]:
        """The frames of a query's answer, as they come; its end ends this, or raises."""

    async def aclose(self) -> None:
        """Close every connection."""

    def renew(self) -> None:
        """Read the credential again before the next call: a person may have replaced it."""


class Reading(Generic[Item]):
    """One request under way.

    Attributes:
        is_over: nothing more comes; what waits can still be taken.
        error: why it ended, if not well.
    """

    def __init__(self, open_: Callable[[], AsyncIterator[Item]]) -> None:
        self.is_over = False
        self.error: JobMonError | None = None
        self._waiting: deque[Item] = deque()
        self._room = asyncio.Event()
        self._task = asyncio.create_task(self._read(open_))

    def take(self) -> list[Item]:
        """What came since the last time."""
        items = list(self._waiting)
        self._waiting.clear()
        self._room.set()
        return items

    def cancel(self) -> None:
        """Nobody reads this any more."""
        self._task.cancel()
        self._waiting.clear()
        self.is_over = True

    async def _read(self, open_: Callable[[], AsyncIterator[Item]]) -> None:
        items: AsyncIterator[Item] | None = None
        try:
            items = open_()
            async for item in items:
                self._waiting.append(item)
                if len(self._waiting) >= MOST_WAITING:
                    self._room.clear()
                    await self._room.wait()
        except JobMonError as error:
            self.error = error
        except Exception as error:  # a pane must outlive any answer; the text goes on the screen
            self.error = AnswerError(f"the answer could not be read ({type(error).__name__}: {error})")
        finally:
            self.is_over = True
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()


def once(answer: Callable[[], Awaitable[Item]]) -> Reading[Item]:
    """A whole answer as a reading of one item."""

    async def one() -> AsyncIterator[Item]:
        yield await answer()

    return Reading(one)
