"""One TLS connection of a simulated agent: OpenSSL in memory over a plain transport.

An event loop's own TLS wants a context for each certificate and, in asyncio,
256 KiB for each connection; thousands of agents in one process share a context
here, whose certificate is exchanged before each connection is made.  Nothing
here knows what the bytes mean.
"""

import asyncio
import os
import ssl
from collections.abc import Callable

from jobmon_wire import http, limits
from jobmon_wire.limits import DOCUMENT_BYTES

READ = 64 * limits.KIB  # bytes decrypted at a time
ANSWER_SECONDS = 30.0  # s for an answer, as the real agent waits
AGENT = "jobmond/0.1.0"


class RefusedError(OSError):
    """The server said no."""

    def __init__(self, status: int, retry_after: float | None, body: bytes) -> None:
        super().__init__(f"the server answered {status}: {body[:200].decode('ascii', 'replace')}")
        self.status = status
        self.retry_after = retry_after  # s, where it said so


class Wardrobe:
    """The context that all agents of a process share, dressed as one of them after the other.

    OpenSSL copies the certificate to each connection when that is made, so the
    next agent's may be loaded at once.

    Args:
        server_ca: PEM.
        host: the server's name.
    """

    def __init__(self, server_ca: str, host: str) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
        self._context.load_verify_locations(cadata=server_ca)
        self._host = host
        self._file = os.memfd_create("credential")  # Python takes certificates from files alone

    def dress(self, certificate: bytes, key: str) -> "Dress":
        """An end of a connection that will show this certificate (DER), whose key is PEM."""
        content = (ssl.DER_cert_to_PEM_cert(certificate) + key).encode("ascii")
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, content, 0)
        self._context.load_cert_chain(f"/proc/self/fd/{self._file}")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        return Dress(self._context.wrap_bio(incoming, outgoing, server_hostname=self._host), incoming, outgoing)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


class Dress:
    """TLS of one connection that has not begun."""

    __slots__ = ("incoming", "outgoing", "tls")

    def __init__(self, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self.tls = tls
        self.incoming = incoming
        self.outgoing = outgoing


class Secure(asyncio.Protocol):
    """A connection.  ``listener`` is given what comes once ``listen`` was called."""

    def __init__(self, dress: Dress) -> None:
        self._tls, self._incoming, self._outgoing = dress.tls, dress.incoming, dress.outgoing
        self._transport: asyncio.Transport
        self._is_shaken = False
        self._response = http.Response()
        self._body = bytearray()
        self._listener: Callable[[bytes], None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def shake_hands(self) -> None:
        """Wait until both ends trust each other, as far as this end knows."""
        if not self._is_shaken:
            await self._wait(limits.CONNECT_TIMEOUT)

    async def post(self, path: str, host: str, body: bytes) -> bytes:
        """One short exchange; the body of the answer.

        Raises:
            RefusedError: the server said no.
            OSError, http.HttpError: it did not answer.
        """
        self._response, self._body = http.Response(), bytearray()
        self.write(http.request_head(path, host, AGENT, "application/json", len(body)) + body)
        while not self._response.is_complete:
            await self._wait()
        if self._response.status not in (200, 204):
            after = self._response.headers.get("retry-after")
            raise RefusedError(self._response.status, float(after) if after else None, bytes(self._body))
        return bytes(self._body)

    def listen(self, head: bytes, listener: Callable[[bytes], None]) -> None:
        """Send the head of an exchange without end; the listener is given its body as it comes."""
        self._response = http.Response()
        self._listener = listener
        self.write(head)

    @property
    def status(self) -> int:
        """Of the response that comes; 0 until its head has."""
        return self._response.status

    def write(self, data: bytes) -> None:
        """Send; what is too late goes nowhere."""
        if not self._transport.is_closing():
            self._tls.write(data)
            self._flush()

    def close(self) -> None:
        """End the connection."""
        self._transport.close()

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a plain connection: begin the handshake."""
        self._transport = transport  # type: ignore[assignment]
        self._shake()

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        self._incoming.write(data)
        try:
            if not self._is_shaken:
                self._shake()
            if self._is_shaken:
                self._read()
        except (OSError, ValueError, http.HttpError) as error:
            self._fail(error)

    def eof_received(self) -> bool:
        """The peer sends no more."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The connection has ended."""
        self._fail(error or ConnectionResetError("the server closed the connection"))
        if not self.lost.done():
            self.lost.set_result(None)

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
            self._is_shaken = True
        except ssl.SSLWantReadError:
            pass
        self._flush()
        if self._is_shaken:
            self._wake()

    def _read(self) -> None:
        try:
            while data := self._tls.read(READ):
                self._take(data)
        except ssl.SSLWantReadError:
            return
        except ssl.SSLZeroReturnError:
            pass
        self._transport.close()

    def _take(self, data: bytes) -> None:
        body = self._response.feed(data)
        if self._listener is not None and self._response.status in (0, 200):
            if body:
                self._listener(body)
            if self._response.is_complete:
                self._transport.close()
            return
        self._body += body
        if len(self._body) > DOCUMENT_BYTES:
            raise http.HttpError("the answer is too long")
        self._wake()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._transport.is_closing():
            self._transport.write(self._outgoing.read())

    async def _wait(self, limit: float = ANSWER_SECONDS) -> None:
        if self.lost.done():
            raise ConnectionResetError("the server closed the connection")
        self._waiter = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(limit):
            await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self._transport.close()
