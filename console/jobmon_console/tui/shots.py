"""Signals on their way: each to one job or one process of it, with what became of it.

The targets are frozen when the dialog opens.  A shot that was sent is not
called back when the dialog closes: cancelling the request would leave a job
half stopped.  Nothing here draws.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from jobmon_console import calls
from jobmon_console.errors import CutOffError, JobMonError, RefusedError
from jobmon_console.safe import safe
from jobmon_console.tui.panes.pane import Target
from jobmon_console.tui.source import Reading
from jobmon_wire.frames import RECORD, Frame
from jobmon_wire.verbs import KILL_GRACE

AT_ONCE = 16  # requests; a server's queue for one person is no place for thousands
SIGNALS = ("TERM", "INT", "HUP", "KILL", "USR1", "USR2", "STOP", "CONT")
_EFFECTS = {  # who ends, who is meant
    "TERM": f"asks {{0}} to end; KILL follows after {KILL_GRACE:.0f} s",
    "INT": "interrupts, as Ctrl-C does",
    "HUP": "says the terminal is gone; many daemons reload",
    "KILL": "ends {1} at once; nothing is saved",
    "USR1": "does what {0} makes of it, or ends it",
    "USR2": "does what {0} makes of it, or ends it",
    "STOP": "halts {1} until CONT",
    "CONT": "lets {1} go on, if halted",
}
TOO_OLD = "not sent: the job's agent is too old to signal one process alone"


def effect(signal: str, is_process: bool) -> str:
    """What a signal does to a job, or to one process of it."""
    return _EFFECTS[signal].format(*(("it", "it") if is_process else ("the job", "every process")))


class Outcome(NamedTuple):
    """What became of a shot."""

    text: str  # safe
    style: str


class Shot:
    """One signal to one job, or to one process of it."""

    def __init__(self, target: Target, signal: str, turn: asyncio.Semaphore) -> None:
        self.target = target
        self.signal = signal
        self.outcome = Outcome("sending …", "info")
        self._turn = turn
        self._reading: Reading[Frame] | None = None
        if not target.feed.link.is_usable:
            self.outcome = Outcome("not sent: not connected", "bad")
        elif not target.feed.release.is_understood:
            self.outcome = Outcome("not sent: the server speaks another protocol", "bad")
        elif target.process is not None and not isinstance(target.process.get("started_exactly"), str):
            self.outcome = Outcome(TOO_OLD, "bad")  # never the whole job in its place
        else:
            self._reading = Reading(self._frames)

    @property
    def is_done(self) -> bool:
        """Its outcome is known, or known to be unknown."""
        return self._reading is None

    def tick(self) -> bool:
        """Take what came; True: the outcome is another."""
        if self._reading is None:
            return False
        before, is_over = self.outcome, self._reading.is_over
        for frame in self._reading.take():
            if frame.type == RECORD:
                self.outcome = _read(frame.document())
        if is_over:
            if self._reading.error is not None:
                self.outcome = self._failure(self._reading.error)
            elif self.outcome.text.startswith("sending"):
                self.outcome = Outcome("sent", "good")
            self._reading = None
        return self.outcome != before or is_over

    async def _frames(self) -> AsyncIterator[Frame]:
        process, arguments = self.target.process, {"signal": self.signal}
        if process is not None:  # its start goes along: another one with its number gets nothing
            arguments |= {"pid": process["pid"], "started": process["started_exactly"]}
        call = calls.query(self.target.uuid, "kill", arguments)
        async with self._turn:
            async for frame in self.target.source.frames(call):
                yield frame

    def _failure(self, error: JobMonError) -> Outcome:
        if isinstance(error, CutOffError):
            return Outcome("unknown: the answer broke off; look at the job's state", "warn")
        is_too_old = isinstance(error, RefusedError) and error.code == "unsupported" and self.target.process is not None
        # The agent's own sentence says to ask without the option, which would be the whole job.
        return Outcome(TOO_OLD if is_too_old else "failed: " + safe(str(error)), "bad")


class Volley:
    """The shots whose outcome is not known yet, whether a dialog shows them or not."""

    def __init__(self) -> None:
        self._shots: list[Shot] = []
        self._turn = asyncio.Semaphore(AT_ONCE)

    def send(self, targets: list[Target], signal: str) -> list[Shot]:
        """A signal to each."""
        shots = [Shot(target, signal, self._turn) for target in targets]
        self._shots += shots
        return shots

    def tick(self) -> list[Shot]:
        """Take what came; give the shots whose outcome became known."""
        for shot in self._shots:
            shot.tick()
        done = [shot for shot in self._shots if shot.is_done]
        self._shots = [shot for shot in self._shots if not shot.is_done]
        return done


def _read(record: dict[str, Any]) -> Outcome:
    sent, killed, left = (_count(record.get(name)) for name in ("sent", "killed", "left"))
    processes = "1 process" if sent == 1 else f"{sent} processes"
    parts = [f"{safe(str(record.get('signal') or 'signal'))} to {processes}"]
    if killed:
        parts.append(f"KILL to {killed} after the grace")
    if left:
        parts.append(f"{left} still there")
    return Outcome(", ".join(parts), "warn" if left else "good")


def _count(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0
