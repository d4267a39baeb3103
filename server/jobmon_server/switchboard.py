"""The switchboard: the server's ends of all sessions by datagram, a line for each.

A server holds 100,000 of them, so a line is a number, and what is known of it
stands in columns: 148 bytes together, where objects of its own would take 700.
A line's counters, window and keys are those of ``datagrams.Ends``; what a beat
says, and who is rung, is not known here.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from typing import Any

from jobmon_server.indexes import Randoms
from jobmon_server.jobs import Job
from jobmon_wire import datagrams
from jobmon_wire.datagrams import ALL_TAKEN, CHALLENGE_BYTES, SECRET_BYTES, WINDOW

NONE = 0  # no line has this number
RATE = 5.0  # datagrams a second that one session is heard with; a beat every 25 s and its answers are 0.1
BURST = 10.0  # datagrams of one session that may come at once
_KEYS = 2 * SECRET_BYTES  # bytes of a line: up, then down
_STEP = 1 / RATE
_AHEAD = (BURST - 1) / RATE  # s

Address = tuple[Any, ...]  # as the socket names it


class Switchboard:
    """All lines.

    Attributes:
        base: what is sent has counters above it.
        jobs: by line.
        heard: by line: s by the loop's clock of the last beat that answered a challenge of this run; 0: none.  It is
            true to a second for half a year.
        due: by line: s since 1970 from which its agent is told to register again.
        end: by line: s since 1970 from which it is not answered any more.
        highest: by line: of the agent's counters that were taken.
    """

    def __init__(self, base: int) -> None:
        self.base = base
        self.jobs: list[Job | None] = [None]
        self.heard = array("f", [0.0])
        self.due = array("I", [0])
        self.end = array("I", [0])
        self.highest = array("Q", [0])
        self._taken = array("Q", [ALL_TAKEN])
        self._sent = array("I", [0])  # datagrams of this run
        self._busy = array("d", [0.0])  # s by the loop's clock: when all that came would have come at the allowed rate
        self._keys = bytearray(_KEYS)
        self._hosts: list[Any] = [None]  # of many agents behind one gateway one text
        self._ports = array("H", [0])
        self._challenges = bytearray(CHALLENGE_BYTES)  # of those addresses: to make one takes a tenth of a beat
        self._sessions = Randoms()
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Job]:
        return (job for job in self.jobs if job is not None)

    # Lines

    def open(self, job: Job, session: bytes, up: bytes, down: bytes, heard: int) -> int:
        """A line for a job's agent.

        Args:
            up: key of what the agent sends.
            down: key of what is sent to it.
            heard: the highest counter that the agent had used before.
        """
        line = self._free.pop() if self._free else self._grow()
        self.jobs[line], self.highest[line] = job, heard
        self._keys[_KEYS * line : _KEYS * (line + 1)] = up + down
        self._sessions.put(line, int.from_bytes(session, "big"))
        return line

    def close(self, line: int) -> None:
        """Forget a line, its keys first of all."""
        self._keys[_KEYS * line : _KEYS * (line + 1)] = bytes(_KEYS)
        self._challenges[CHALLENGE_BYTES * line : CHALLENGE_BYTES * (line + 1)] = bytes(CHALLENGE_BYTES)
        self._sessions.take(line)
        self.jobs[line] = self._hosts[line] = None
        self.heard[line] = self._busy[line] = 0.0
        self.due[line] = self.end[line] = self.highest[line] = self._sent[line] = self._ports[line] = 0
        self._taken[line] = ALL_TAKEN
        self._free.append(line)

    def find(self, session: int) -> int:
        """The line of a session, or ``NONE``."""
        return self._sessions.find(session)

    def session(self, line: int) -> bytes:
        """The id of a line's session."""
        return self._sessions.number(line).to_bytes(datagrams.SESSION_BYTES, "big")

    def counter(self, line: int) -> int:
        """Of the last datagram that was sent on it."""
        return self.base + self._sent[line]

    def _grow(self) -> int:
        for column in (self.heard, self._busy):
            column.append(0.0)
        for numbers in (self.due, self.end, self.highest, self._sent, self._ports):
            numbers.append(0)
        self._taken.append(ALL_TAKEN)
        self._keys += bytes(_KEYS)
        self._challenges += bytes(CHALLENGE_BYTES)
        self._hosts.append(None)
        self.jobs.append(None)
        return len(self.jobs) - 1

    # What goes over them

    def seal(self, line: int, session: bytes, type_: int, body: bytes) -> bytes:
        """A datagram to the line's agent, by the id of its session; no two are the same."""
        self._sent[line] = sent = self._sent[line] + 1
        end = _KEYS * (line + 1)
        key = self._keys[end - SECRET_BYTES : end]
        return datagrams.seal(key, type_, session, self.base + sent, body)

    def take(self, line: int, type_: int, counter: int, datagram: bytes, now: float) -> bytes | None:
        """The body of a datagram that is genuine, was not there before and comes not too soon; None for anything else.

        Args:
            type_: of the datagram, and ``counter``: as its header has them.
            datagram: of the line's session, in its form.
            now: s, by the loop's clock.
        """
        # What ``is_new`` and ``taken_after`` of ``datagrams`` do; called for each beat they take a twentieth of it.
        highest, taken = self.highest[line], self._taken[line]
        age = highest - counter
        if age >= 0 and (age >= WINDOW or taken >> age & 1):
            return None
        start = _KEYS * line
        body = datagrams.read_body(self._keys[start : start + SECRET_BYTES], type_, datagram)
        if body is None:
            return None
        if age >= 0:
            self._taken[line] = taken | 1 << age
        else:
            self.highest[line] = counter
            self._taken[line] = (taken << -age | 1) & ALL_TAKEN if age > -WINDOW else 1
        ahead = self._busy[line] - now
        if ahead > _AHEAD:
            return None
        self._busy[line] = now + _STEP if ahead < 0 else now + ahead + _STEP
        return body

    # Where agents are

    def address(self, line: int) -> Address | None:
        """Where the line's agent was heard last, and answered a challenge."""
        host = self._hosts[line]
        if isinstance(host, tuple):
            return host[0], self._ports[line], *host[1:]
        return None if host is None else (host, self._ports[line])

    def challenge(self, line: int, address: Address) -> bytearray | None:
        """The challenge of this address, if the line's agent was there last; None elsewhere."""
        host = address[0] if len(address) == 2 else (address[0], *address[2:])
        if self._hosts[line] != host or self._ports[line] != address[1]:
            return None
        start = CHALLENGE_BYTES * line
        return self._challenges[start : start + CHALLENGE_BYTES]

    def move(self, line: int, address: Address, challenge: bytes | bytearray) -> None:
        """The line's agent is there.

        Args:
            challenge: of this session at this address.
        """
        host = address[0] if len(address) == 2 else (address[0], *address[2:])
        self._hosts[line] = sys.intern(host) if isinstance(host, str) else host
        self._ports[line] = address[1]
        start = CHALLENGE_BYTES * line
        self._challenges[start : start + CHALLENGE_BYTES] = challenge
