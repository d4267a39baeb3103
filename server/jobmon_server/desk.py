"""The desk: where the machine's own people and programs ask how the server is.

HTTP on a socket in the site's directory, for ``jobmon server status``, and, where
the configuration says so, on a port, for Prometheus.  It has a thread and a
loop of its own, so that it answers while the server's hang.  It changes nothing
and tells of nobody; there is no TLS, and nothing to ask a name for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jobmon_server import metrics
from jobmon_server.configuration import Address
from jobmon_server.figures import Figures, Source
from jobmon_server.health import FINE, Health, HungError, ask
from jobmon_server.ports import bind
from jobmon_wire.moments import write_moment

SOCKET = "status.sock"  # in the site's directory
PATIENCE = 5.0  # s for a request to come, and for its answer to be taken
LARGEST_HEAD = 8 * 1024  # bytes
FRESH = 1.0  # s that a finding is told again: an examination writes to the disk

_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}
_TEXT, _JSON = "text/plain; charset=utf-8", "application/json"

log = logging.getLogger("jobmon.server")


class Answer(NamedTuple):
    """What is said to a request."""

    status: int
    kind: str
    body: bytes


class Desk:
    """One server's desk.

    Args:
        loops: the server's, by name; the first is the state's.
        source: of the figures.
        health: the checks.
    """

    def __init__(self, loops: Mapping[str, asyncio.AbstractEventLoop], source: Source, health: Health) -> None:
        self._main = next(iter(loops.values()))
        self._source = source
        self._health = health
        self._examined = 0.0  # s, monotonic
        self._findings: dict[str, str] = {}
        self._sockets: list[socket.socket] = []
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)
        self._routes: dict[str, Callable[[], Any]] = {
            "/metrics": self._metrics,
            "/healthz": self._healthz,
            "/status": self._status,
        }

    def open(self, directory: Path, address: Address | None) -> None:
        """Answer from now on, in the site's directory and at the address if there is one.

        Raises:
            PortError: the address cannot be listened on.
        """
        if address is not None:
            self._sockets.append(bind(address))
        self._path = directory / SOCKET
        try:
            self._sockets.append(_bind_local(self._path))
        except OSError as error:
            log.warning("jobmon server status has no socket", extra={"facts": {"path": self._path, "cause": error}})
        self._thread.start()

    def note(self) -> None:
        """A sweep of the server's has come to its end."""
        self._health.swept()
        self._source.look()

    def close(self) -> None:
        """Answer no more; waits for who is being answered."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for sock in self._sockets:
                start = asyncio.start_unix_server if sock.family == socket.AF_UNIX else asyncio.start_server
                await stack.enter_async_context(await start(self._meet, sock=sock, limit=LARGEST_HEAD))
            await self._stop.wait()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                async with asyncio.timeout(PATIENCE):
                    head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_written(await self._answer(head)))
                async with asyncio.timeout(PATIENCE):
                    await writer.drain()
        finally:
            writer.close()

    async def _answer(self, head: bytes) -> Answer:
        method, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
        route = self._routes.get(rest.partition(" ")[0].partition("?")[0])
        if route is None:
            return Answer(404, _TEXT, b"/metrics, /healthz and /status are here\n")
        if method != "GET":
            return Answer(405, _TEXT, b"ask with GET\n")
        try:
            found: Answer = await route()
        except HungError as error:
            return Answer(503, _TEXT, f"the server does not answer: {error}\n".encode())
        return found

    async def _metrics(self) -> Answer:
        return Answer(200, metrics.CONTENT_TYPE, metrics.write(await self._figures()))

    async def _status(self) -> Answer:
        figures = (await self._figures())._asdict()
        for moment in ("started", "certificate_end"):
            figures[moment] = write_moment(figures[moment])
        return Answer(200, _JSON, json.dumps({**figures, "health": await self._examine()}).encode() + b"\n")

    async def _healthz(self) -> Answer:
        findings = await self._examine()
        is_well = all(finding == FINE for finding in findings.values())
        body = json.dumps({"status": FINE if is_well else "failing", "checks": findings}).encode() + b"\n"
        return Answer(200 if is_well else 503, _JSON, body)

    async def _figures(self) -> Figures:
        return await ask(self._main, self._source.read)

    async def _examine(self) -> dict[str, str]:
        if time.monotonic() - self._examined > FRESH:
            self._findings = await self._health.examine()
            self._examined = time.monotonic()
        return self._findings


def _bind_local(path: Path) -> socket.socket:
    """A socket in the site's directory, for the server's user alone.

    Raises:
        OSError: it cannot be made; a name of more than 107 bytes is too long for one.
    """
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        path.chmod(0o600)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _written(answer: Answer) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}\r\nContent-Type: {answer.kind}\r\n"
        f"Content-Length: {len(answer.body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + answer.body
