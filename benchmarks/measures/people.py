"""People who ask while something is measured: one connection, one question after the other.

Nothing but TLS and the protocol's own reader stands between the question and
its answer, so that what is measured is the server's and the agent's time.
"""

import multiprocessing
import ssl
import time
from collections.abc import Generator, Iterator
from multiprocessing.connection import Connection
from typing import Any

from jobmon_console import calls
from jobmon_console.calls import Call
from jobmon_console.contexts import Context
from jobmon_console.tls import connect, open_link
from jobmon_wire import frames, http
from jobmon_wire.documents import write_document
from jobmon_wire.frames import Frame, FrameReader

READ = 256 * 1024  # bytes
PAUSE = 0.005  # s between two questions of somebody who watches the time
PATIENCE = 120.0  # s for an answer, while a storm is on

_fork = multiprocessing.get_context("fork")


class Person:
    """Somebody with a connection that stays open.

    Args:
        context: whose.
        port: of another program that answers in the server's place; 0: the server's.
    """

    def __init__(self, context: Context, port: int = 0) -> None:
        link = open_link(context)
        self._link = link._replace(port=port or link.port)
        self._sock: ssl.SSLSocket = connect(self._link)
        self._sock.settimeout(PATIENCE)

    def close(self) -> None:
        """Hang up."""
        self._sock.close()

    def ask(self, call: Call) -> bytes:
        """The whole answer.

        Raises:
            OSError: no answer, or not 200.
        """
        return b"".join(self.parts(call))

    def parts(self, call: Call) -> Iterator[bytes]:
        """The answer as it comes."""
        self._sock.sendall(self._request(call))
        response = http.Response()
        while not response.is_complete:
            data = self._sock.recv(READ)
            if not data:
                raise OSError("the server closed the connection")
            body = response.feed(data)
            if response.status not in (0, 200):
                raise OSError(f"the server answered {response.status}: {body!r}")
            if body:
                yield body

    def query(self, job: str, verb: str, **arguments: Any) -> Generator[Frame]:
        """The frames of an agent's answer as they come; the last is END."""
        reader = FrameReader(frames.ANSWER)
        for part in self.parts(calls.query(job, verb, arguments)):
            yield from reader.feed(part)

    def latency(self, job: str, verb: str, **arguments: Any) -> float:
        """Milliseconds from a question to the end of its answer.

        Raises:
            OSError: the agent did not answer as it should.
        """
        began = time.perf_counter()
        answer = list(self.query(job, verb, **arguments))
        took = (time.perf_counter() - began) * 1e3
        if answer[-1].document().get("status") != "done":
            raise OSError(f"{verb}: {answer[-1].document()}")
        return took

    def _request(self, call: Call) -> bytes:
        body = b"" if call.body is None else write_document(call.body)
        lines = [f"{call.method} {call.target} HTTP/1.1", f"Host: {self._link.host}:{self._link.port}"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
        return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


class Watcher:
    """A person in a process of their own who asks who they are, again and again, and notes how long it takes."""

    def __init__(self, context: Context) -> None:
        self._pipe, theirs = _fork.Pipe()
        self._process = _fork.Process(target=_watch, args=(context, theirs, self._pipe), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()  # connected

    def take(self) -> list[float]:
        """Milliseconds of each answer since the last call, or the start."""
        self._pipe.send(True)
        taken: list[float] = self._pipe.recv()
        return taken

    def stop(self) -> None:
        """Ask no more."""
        self._pipe.close()
        self._process.join()


def _watch(context: Context, pipe: Connection, other: Connection) -> None:
    other.close()
    person = Person(context)
    call = calls.whoami()
    times: list[float] = []
    pipe.send(True)
    while True:
        began = time.perf_counter()
        person.ask(call)
        times.append((time.perf_counter() - began) * 1e3)
        try:
            if pipe.poll(PAUSE):
                pipe.recv()
                pipe.send(times)
                times = []
        except (EOFError, OSError):
            return


def quantile(values: list[float], share: float) -> float:
    """The value below which that share of them is."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
