"""The job list of one context: its connection, its mirror, and the lines that wait for the tick.

One task per context, so that a dead server dims only its own jobs.  The task
collects; ``drain`` applies what came, when the screen wants it.  Nothing here
draws.
"""

import asyncio
import gc
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from jobmon_console import calls
from jobmon_console.errors import CredentialFileError, CredentialRefusedError, JobMonError
from jobmon_console.jobs import Mirror, Position
from jobmon_console.link import LIVE, SYNCING, Link
from jobmon_console.release import Release, read_release
from jobmon_console.safe import safe
from jobmon_console.tui.source import Source

AT_ONCE = 4000  # jobs applied in one tick, 20 ms; a snapshot of 100,000 must not keep the keys waiting
MANY = 5000  # jobs: so many are applied in the 25 ms that a look of the collector takes when the console has begun
RARELY = 100  # looks of the collector at young objects until it looks at all: with 1,000 changes a second it holds the
# keys up for 80 ms each time, and did so every three seconds; once in some minutes is soon enough for rubbish
LOOK_EVERY = 1.0  # s between looks at the clock while a connection is silent


class Feed:
    """The jobs of one context, kept up to date.

    Args:
        name: of the context.
        source: its client.
        clock: any steady clock, s.
        chance: gives 0 to 1.

    Attributes:
        link: the state of its connection.
        mirror: what the screen has been told of.
        me: the distinguished name of the holder; empty until the server said so.
        release: which JobMon the server is.
    """

    def __init__(self, name: str, source: Source, clock: Callable[[], float], chance: Callable[[], float]) -> None:
        self.name = name
        self.source = source
        self.link = Link(clock(), chance)
        self.mirror = Mirror(name)
        self.me = ""
        self.release = Release()
        self.role = ""
        self._clock = clock
        self._position = Position()  # of what is in the mirror and the inbox
        self._inbox: deque[dict[str, Any]] = deque()
        self._is_to_settle = False  # the list has come, and the collector still looks at it
        self._wake = asyncio.Event()
        self._is_looked_at = asyncio.Event()
        self._is_looked_at.set()
        self._task: asyncio.Task[None] | None = None

    def start(self, is_ahead: bool = False) -> None:
        """Run from now on, unless it does already.

        Args:
            is_ahead: nobody can look yet: after the first jobs, which fill a screen, the rest waits for ``drain``.
        """
        if self._task is None:
            if is_ahead:
                self._is_looked_at.clear()
            self._task = asyncio.create_task(self.run())

    async def stop(self) -> None:
        """Run no more, and close every connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.source.aclose()

    @property
    def is_behind(self) -> bool:
        """More has come than ``drain`` took."""
        return bool(self._inbox)

    @property
    def is_loading(self) -> bool:
        """The list is coming in, and is not all in the mirror."""
        return self.link.state in (SYNCING, LIVE) and not self.mirror.is_live

    def drain(self) -> set[str]:
        """Apply what came, as much as may be at once; give the uuids it touched."""
        dirty: set[str] = set()
        self._is_looked_at.set()
        while self._inbox and len(dirty) < AT_ONCE:
            dirty |= self.mirror.apply(self._inbox.popleft())
        return dirty

    def settle(self) -> None:
        """What was drained is shown: once that is the whole list, the collector need not look at it any more."""
        if self._is_to_settle and not self._inbox:
            self._is_to_settle = False
            _freeze(is_short=len(self.mirror) < MANY)

    def retry(self) -> None:
        """Try again now, if it is waiting."""
        self.link.retry(self._clock())
        self._wake.set()

    def answered(self) -> None:
        """The server has answered another request of this context."""
        if self.link.hurry(self._clock()):
            self._wake.set()

    async def run(self) -> None:
        """Connect, follow, and connect again, until cancelled."""
        while True:
            self.link.opening(self._clock())
            try:
                await self._follow()
                self.link.broke(self._clock(), "the server ended the list")
            except (CredentialRefusedError, CredentialFileError) as error:
                self.link.refused(self._clock(), safe(str(error)))
                self.source.renew()
            except JobMonError as error:
                self.link.broke(self._clock(), safe(str(error)))
            except Exception as error:  # the console outlives whatever a server answers
                self.link.broke(self._clock(), safe(f"unexpected answer ({type(error).__name__}: {error})"))
            await self._pause()

    async def _follow(self) -> None:
        about = await self._in_time(self.source.fetch(calls.whoami()))
        if str(about.get("name", "")) != self.me:
            self._position = Position()  # what somebody else was shown is no start for this one
        self.release = read_release(about)
        self.me, self.role = str(about.get("name", "")), str(about.get("role", ""))
        self.link.heard(self._clock())
        lines = self.source.rows(calls.watch(resume=str(self._position)))
        try:
            await self._collect(lines)
        finally:
            gc.enable()
            close = getattr(lines, "aclose", None)
            if close is not None:
                await close()

    async def _collect(self, lines: AsyncIterator[dict[str, Any]]) -> None:
        while True:
            try:
                line = await self._in_time(anext(lines))
            except StopAsyncIteration:
                return
            self._inbox.append(self.mirror.pack(line))  # at once: 100,000 records that wait would take 300 MB
            self._position.take(line)
            if line.get("kind") == "sync":
                gc.disable()  # the jobs that come are all kept: each look of the collector at them is in vain
            if line.get("kind") == "live":
                self._is_to_settle = True
                self.link.synced(self._clock())
            else:
                self.link.heard(self._clock())
            if line.get("kind") == "jobs":
                await self._is_looked_at.wait()

    async def _in_time(self, answer: Any) -> Any:
        task = asyncio.ensure_future(answer)
        try:
            while not (await asyncio.wait([task], timeout=LOOK_EVERY))[0]:
                if self.link.is_dead(self._clock()):
                    raise JobMonError(f"no word from the server for {self.link.silence(self._clock()):.0f} s")
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])

    async def _pause(self) -> None:
        self._wake.clear()
        try:
            await asyncio.wait_for(self._wake.wait(), self.link.wait(self._clock()))
        except TimeoutError:
            return


def _freeze(is_short: bool) -> None:
    """Let the garbage collector look at no job again: a look at all of 100,000 holds the keys up for 100 ms.

    What an earlier connection had is let go first, or each new one would keep the rubbish of the last.  Before the
    first one there is little: where few jobs have come, to look for it would take longer than they did.
    """
    gc.enable()
    is_first = not gc.get_freeze_count()
    gc.unfreeze()
    if not (is_first and is_short):
        gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, RARELY)
