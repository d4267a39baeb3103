"""Connections: the protocol of both ports, and the set of those that are open.

``PeerProtocol`` is uvicorn's HTTP protocol with what it leaves out: it puts the
peer's certificate into every scope, bounds the head of a request in size and
time, and stays in a set that is swept once a second.  The sweep ends what must
not go on: a peer revoked or expired since, a head that does not come to its
end, a reader that takes nothing; so a connection has no timer of its own.  It
leans on attributes of uvicorn that are not documented, and does itself what
uvicorn does in more steps for websockets, access logs and lifespans, of which
there are none here: uvicorn's minor version is pinned.
"""

from __future__ import annotations

import asyncio
import ssl
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote

import httptools
from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from jobmon_server.cycles import Cycle
from jobmon_server.doors import VISITOR, Door, Visitor
from jobmon_server.tls import peer_tls, tls_extension
from jobmon_wire.answers import refusal
from jobmon_wire.documents import write_document
from jobmon_wire.limits import KIB

HEAD_SECONDS = 10.0  # s from the first byte of a request, or the handshake, to the end of its headers
IDLE_SECONDS = 60  # s that a connection may wait for its next request, and until the next sweep
STALL_SECONDS = 600.0  # s that a reader may take nothing: a person may pause a pager; what waits is bounded
LINGER_SECONDS = 2.0  # s for the rest of a request whose answer is already out
ABORT_SECONDS = 0.5  # s for a request to notice that its connection is gone
WRITE_BUFFER = 64 * KIB  # bytes that wait for a slow reader here; uvloop's own default let 525 KiB wait
LARGEST_HEAD = 16 * KIB  # bytes of request line and headers
MOST_HEADERS = 64  # headers of one request
NEVER = float("inf")

_NO_STATE: dict[str, object] = {}  # uvicorn's, of a lifespan
_ASGI: Any = {"version": "3.0", "spec_version": "2.3"}


class HeadError(Exception):
    """The request's head is over a limit."""


class Connections:
    """The open connections of one port."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.door = door
        self.server_state = ServerState()
        self._config = Config(
            app,
            http=PeerProtocol,
            ws="none",  # a websocket would be served without the certificate
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # who a peer is follows from its certificate alone
            server_header=False,
        )
        self._config.load()

    def open(self, client: tuple[str, int]) -> PeerProtocol:
        """The protocol of a new connection with an address and port."""
        return PeerProtocol(self._config, self.server_state, self.door, client)

    def __len__(self) -> int:
        return len(self.server_state.connections)

    def sweep(self, now: float, *, is_thorough: bool) -> int:
        """End the connections that must not go on; give their number.

        Args:
            now: the loop's time.
            is_thorough: ask the door about everyone, as after a revocation; the
                clock alone is asked each time, at less than a microsecond
                per connection.
        """
        moment = self.door.clock()
        self.server_state.default_headers = [(b"date", formatdate(moment, usegmt=True).encode("ascii"))]
        ended = [
            each
            for each in self._open()
            if now >= each.head_deadline
            or now >= each.stall_deadline
            or moment >= each.until
            or (is_thorough and not each.is_welcome())
        ]
        for connection in ended:
            connection.abort()
        for connection in self._open():
            if now >= connection.idle_deadline:
                connection.transport.close()
        return len(ended)

    def finish(self) -> None:
        """Close idle connections now, the others after the answer that is under way."""
        for connection in self._open():
            connection.shutdown()

    async def close(self, grace: float) -> None:
        """Wait for the answers under way, at most ``grace`` seconds, then end everything."""
        await self._wait(grace)
        for connection in self._open():
            connection.abort()
        # Who reads or writes is told by the abort; what still runs then is stuck elsewhere.
        await self._wait(ABORT_SECONDS)
        for task in set(self.server_state.tasks):
            task.cancel()
        await self._wait(ABORT_SECONDS)

    async def _wait(self, patience: float) -> None:
        if self.server_state.tasks:
            await asyncio.wait(set(self.server_state.tasks), timeout=patience)

    def _open(self) -> list[PeerProtocol]:
        return [each for each in self.server_state.connections if isinstance(each, PeerProtocol)]


class _Flow(FlowControl):
    """Whether a connection takes more; the event to wait for is made when it does not, as it takes a KiB."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.read_paused = False
        self.write_paused = False

    def pause_writing(self) -> None:
        if not self.write_paused:
            self._is_writable_event = asyncio.Event()
        super().pause_writing()


class PeerProtocol(HttpToolsProtocol):
    """One connection: HTTP/1.1 from a peer whose certificate stands in every scope."""

    # Beyond 30 attributes, of which uvicorn has 28, each object would have a dict of its own, of 1.2 KiB.
    __slots__ = (
        "_door",
        "_extension",
        "_head_bytes",
        "_header_bytes",
        "_is_in_head",
        "_visitor",
        "head_deadline",
        "idle_deadline",
        "stall_deadline",
        "until",
    )

    def __init__(self, config: Config, server_state: ServerState, door: Door, client: tuple[str, int]) -> None:
        super().__init__(config, server_state, app_state=_NO_STATE)
        self.pipeline = []  # type: ignore[assignment] # a deque takes 760 bytes, mostly for nothing
        self.client = client
        self._door = door
        self._visitor: Visitor | None = None
        self._extension: dict[object, object] = {}
        self._is_in_head = True  # no headers are complete whose body still comes
        self._head_bytes = 0  # fed to the parser since the last complete head
        self._header_bytes = 0  # of the headers that are complete
        self.head_deadline = NEVER  # loop's time
        self.idle_deadline = NEVER  # loop's time
        self.stall_deadline = NEVER  # loop's time
        self.until = NEVER  # s since 1970; the certificate's end

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        ssl_object: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        tls = peer_tls(ssl_object) if ssl_object is not None else None
        self.connections.add(self)
        self.transport = transport
        self.flow = _Flow(transport)
        self._visitor = self._door.meet(tls, self.client)
        if self._visitor.identity is not None:
            self.until = self._visitor.identity.not_after
        self._extension = tls_extension(tls) if tls is not None else {}
        self.head_deadline = self.loop.time() + HEAD_SECONDS
        transport.set_write_buffer_limits(high=WRITE_BUFFER)

    def is_welcome(self) -> bool:
        """The door would let the peer in now; one who never was in is told so by the answer that closes."""
        is_in = self._visitor is not None and self._visitor.identity is not None
        return not is_in or self._door.is_open_to(self._visitor)

    @property
    def is_admitted(self) -> bool:
        """The handshake is done, and the door would let the peer in now."""
        return self._door.is_open_to(self._visitor)

    def abort(self) -> None:
        """End the connection at once, with whatever was under way."""
        self.transport.abort()

    # What follows is called by the transport and by the parser.

    def data_received(self, data: bytes) -> None:
        if self._is_in_head:
            self._head_bytes += len(data)
            if self.head_deadline == NEVER:
                self.head_deadline = self.loop.time() + HEAD_SECONDS
        self.idle_deadline = NEVER
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the door refuses the request
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("")
            return
        if self._is_in_head and self._head_bytes > LARGEST_HEAD and not self.transport.is_closing():
            self.send_400_response("")

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._is_in_head = True
        self._header_bytes = 0

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > LARGEST_HEAD:
            raise HeadError

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))
        self._header_bytes += len(name) + len(value)
        if len(self.headers) > MOST_HEADERS or self._header_bytes > LARGEST_HEAD:
            raise HeadError

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._head_bytes = 0
        self.head_deadline = NEVER
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        self.scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": self.parser.get_http_version(),
            "method": self.parser.get_method().decode("ascii"),
            "scheme": "https",
            "path": unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
            "root_path": "",
            "headers": self.headers,
            "client": self.client,
            "server": None,  # our own address, which nobody asks for
            "state": {VISITOR: self._visitor},
            "extensions": {"tls": self._extension},
        }
        earlier, self.cycle = self.cycle, self._cycle()
        if earlier is None or earlier.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:  # requests in a row: it waits for the answer before it
            self.flow.pause_reading()
            self.pipeline.insert(0, (self.cycle, self.app))

    def _cycle(self) -> Cycle:
        return Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=self.scope["http_version"] != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )

    def on_body(self, body: bytes) -> None:
        if self.cycle.response_complete:
            return
        self.cycle.body += body
        if len(self.cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._is_in_head = True
        if self.cycle.response_complete:
            # The rest of the request came while we lingered.
            self.head_deadline, self.idle_deadline = NEVER, self.loop.time() + IDLE_SECONDS
            return
        self.cycle.more_body = False
        self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:  # looked at by the sweep, where uvicorn has a timer for each request
            self.idle_deadline = self.loop.time() + IDLE_SECONDS
        # With requests in a row the body under way may be the next one's, whose answer has not begun.
        if not self._is_in_head and self.cycle.response_complete:
            self.head_deadline = self.loop.time() + LINGER_SECONDS

    def pause_writing(self) -> None:
        super().pause_writing()
        self.stall_deadline = self.loop.time() + STALL_SECONDS

    def resume_writing(self) -> None:
        super().resume_writing()
        self.stall_deadline = NEVER

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, or one over the limits, and close."""
        if self.cycle is not None and not self.cycle.response_complete:
            if self._is_in_head or self.cycle.response_started or self.pipeline:
                self.abort()  # an answer here would read as another request's, or as part of it
                return
            self.cycle.disconnected = True  # the body is broken: this is the answer, and the routes give none
            self.cycle.message_event.set()
        body = write_document(refusal("bad-request", "this is no HTTP/1.1 request within the limits"))
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: "
        self.transport.write(b"%s%d\r\n\r\n%s" % (head, len(body), body))
        self.transport.close()
