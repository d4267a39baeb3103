"""Cycles: one request and its response, as the connection's protocol sees them.

uvicorn writes the head of a response and its body apart: two records of TLS and
two calls of the system for every small answer.  Here a head that tells the
body's length waits for the body.  One that does not, of a stream, goes at once.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle


class Cycle(RequestResponseCycle):
    """A request and its response."""

    _start: Any = None  # the message of a head that waits for its body

    def whole_body(self) -> bytes | None:
        """The request's body, as ``receive`` would give it at once; None where that would wait, or give a part."""
        if self.more_body or self.disconnected or self.response_complete or self.waiting_for_100_continue:
            return None
        body = bytes(self.body)
        self.body.clear()
        self.message_event.clear()
        return body

    async def send(self, message: Any) -> None:
        """Take a message of ASGI's."""
        if not self.response_started and self._tells_length(message):
            self.response_started, self.waiting_for_100_continue = True, False
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None and not message.get("more_body", False):
            await self._send_whole(start, message.get("body", b""))
            return
        if start is not None:
            self.response_started = False
            await super().send(start)
        await super().send(message)

    def _tells_length(self, message: dict[str, Any]) -> bool:
        is_start = message["type"] == "http.response.start" and self.scope["method"] != "HEAD"
        return is_start and any(name == b"content-length" for name, _ in message["headers"])

    async def _send_whole(self, start: dict[str, Any], body: bytes) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        self.transport.write(self._head(start, len(body)) + body)
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _head(self, start: dict[str, Any], length: int) -> bytes:
        parts = [STATUS_LINE[start["status"]]]
        for name, value in (*self.default_headers, *start["headers"]):
            if HEADER_VALUE_RE.search(value):  # two headers where one was meant
                raise RuntimeError("Invalid HTTP header value.")
            if name == b"content-length" and int(value) != length:
                raise RuntimeError("Response content of another length than Content-Length")
            if name == b"connection" and value.lower() == b"close":
                self.keep_alive = False
            else:
                parts += name, b": ", value, b"\r\n"
        if not self.keep_alive:
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)
