"""A fleet over several processes: each holds a share of the agents and reports what they do.

One process is enough for beats; handshakes cost an agent's end as much as the
server's, so that a storm wants as many processes as there are processors.
"""

import asyncio
import contextlib
import ctypes
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import uvloop

from benchmarks.simulation.fleet import Fleet, Server, Settings
from benchmarks.simulation.jobs import Plan
from benchmarks.simulation.passes import Pass
from jobmon_wire.records import Beats as Told

LOOK = 0.05  # s between two looks whether something has become true
START = 600.0  # s for the preparation: 100,000 connections of TLS
GO, REPORT = b"go", b"report"  # what a process is told
FAREWELL = 20.0  # s for a process to end
CLONE_NEWNET = 0x40000000  # linux/sched.h

_fork = multiprocessing.get_context("fork")  # the cards are there already, and need not be sent


class CrewError(Exception):
    """A process of the fleet has gone."""


class Crew:
    """The processes of one fleet.

    Args:
        processes: how many.
        namespace: path of a network namespace that the agents live in, or empty.
    """

    def __init__(
        self,
        plan: Plan,
        cards: Sequence[Pass],
        server: Server,
        settings: Settings,
        told: dict[int, Told] | None = None,
        processes: int = 1,
        namespace: str = "",
    ) -> None:
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        self._moment = 0.0  # of the word to begin, by time.monotonic
        for number in range(processes):
            own, theirs = _fork.Pipe()
            share = cards[number::processes]

            def work(
                share: Sequence[Pass] = share,
                pipe: Connection = theirs,
                inherited: Sequence[Connection] = (*self._pipes, own),
            ) -> None:
                for signal_ in (signal.SIGINT, signal.SIGTERM):  # a Ctrl-C is for all; the pipe's end is their word
                    signal.signal(signal_, signal.SIG_IGN)
                for other in inherited:
                    other.close()  # or no process would see the end of its pipe
                if namespace:
                    _enter(namespace)
                uvloop.run(_work(pipe, lambda: Fleet(plan, share, server, settings, told or {}), 1 / processes))

            process = _fork.Process(target=work, daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(own)
            self._processes.append(process)

    def prepare(self) -> None:
        """Wait until all could begin.

        Raises:
            CrewError: a process has gone.
        """
        for number, pipe in enumerate(self._pipes):
            if not pipe.poll(START):
                raise CrewError(f"the fleet's process {number} is not ready after {START:.0f} s")
            self._receive(number)

    def go(self) -> None:
        """Let all begin at once."""
        self._moment = time.monotonic()
        for pipe in self._pipes:
            pipe.send_bytes(GO)

    def report(self) -> dict[str, Any]:
        """What all have done so far; ``since`` is the time of the last first registration, from the word to begin.

        Raises:
            CrewError: a process has gone.
        """
        for pipe in self._pipes:
            with contextlib.suppress(OSError):  # it has gone, which shows when its report is read
                pipe.send_bytes(REPORT)
        total: dict[str, Any] = {"complaints": {}}
        for report in map(self._receive, range(len(self._pipes))):
            for name, value in report.items():
                if name == "complaints":
                    for text, count in value.items():
                        total[name][text] = total[name].get(text, 0) + count
                else:
                    total[name] = max(total.get(name, 0), value) if name == "last" else total.get(name, 0) + value
        return total | {"since": total.get("last", 0.0) - self._moment}

    def wait(self, claim: Callable[[dict[str, Any]], bool], limit: float) -> dict[str, Any]:
        """The report for which the claim is true.

        Raises:
            CrewError: it is not within ``limit`` seconds, or a process has gone.
        """
        deadline = time.monotonic() + limit
        while not claim(report := self.report()):
            if time.monotonic() > deadline:
                raise CrewError(f"not within {limit:.0f} s: {json.dumps(report)}")
            time.sleep(LOOK)
        return report

    def stop(self) -> None:
        """End all processes."""
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.close()
            process.join(FAREWELL)
            if process.is_alive():
                process.kill()
                process.join()

    def _receive(self, number: int) -> dict[str, Any]:
        try:
            report: dict[str, Any] = json.loads(self._pipes[number].recv_bytes())
        except (EOFError, OSError) as error:
            raise CrewError(f"the fleet's process {number} has gone") from error
        return report


async def _work(pipe: Connection, make: Callable[[], Fleet], share: float) -> None:
    """One process, from its preparation to the end of the pipe."""
    loop = asyncio.get_running_loop()
    fleet = make()
    fleet.prepare()
    over = asyncio.Event()

    def report() -> None:
        pipe.send_bytes(json.dumps(fleet.report()).encode())

    def listen() -> None:
        try:
            if pipe.recv_bytes() == GO:
                fleet.go(share)
            else:
                report()
        except (EOFError, OSError):
            loop.remove_reader(pipe.fileno())
            over.set()

    report()
    loop.add_reader(pipe.fileno(), listen)
    await over.wait()
    await fleet.stop()


def _enter(namespace: str) -> None:
    """Move this process into a network namespace, before it opens a socket."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        if libc.setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), namespace)
    finally:
        os.close(descriptor)
