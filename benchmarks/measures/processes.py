"""The least that could do a piece of the server's work: plain programs, each a process of its own.

A limit is measured as the server is: by the CPU that its process has used for
so many pieces of work.
"""

import asyncio
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import uvloop

from benchmarks.simulation.throwaway import cpu_of
from jobmon_pki.site import Site
from jobmon_server.tls import TLSFiles, server_context
from jobmon_wire import datagrams

BUFFER = 4 * 2**20  # bytes of a socket's buffer, as much as the system grants
DRAIN = 64  # datagrams in one turn of the loop

_fork = multiprocessing.get_context("fork")


class Least(NamedTuple):
    """A running limit."""

    pid: int
    port: int

    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        return cpu_of(self.pid)


@contextmanager
def answering(site: Site, answer: bytes) -> Iterator[Least]:
    """A raw protocol on uvloop, behind the agents' port's TLS, that sends these bytes for whatever comes."""

    class Raw(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(answer)

    async def serve(sock: socket.socket) -> None:
        files = TLSFiles(site.server_certificate, site.server_key, site.job_ca)
        await asyncio.get_running_loop().create_server(Raw, sock=sock, ssl=server_context(files))
        await asyncio.Event().wait()

    yield from _process(socket.SOCK_STREAM, lambda sock: uvloop.run(serve(sock)))


@contextmanager
def draining() -> Iterator[Least]:
    """A loop that receives datagrams and does nothing with them."""

    async def drain(sock: socket.socket) -> None:
        buffer = bytearray(datagrams.LONGEST + 1)

        def ready() -> None:
            for _ in range(DRAIN):
                try:
                    sock.recvfrom_into(buffer)
                except BlockingIOError:
                    return

        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        sock.setblocking(False)
        asyncio.get_running_loop().add_reader(sock.fileno(), ready)
        await asyncio.Event().wait()

    yield from _process(socket.SOCK_DGRAM, lambda sock: uvloop.run(drain(sock)))


def _process(kind: socket.SocketKind, work: Callable[[socket.socket], None]) -> Iterator[Least]:
    sock = socket.socket(socket.AF_INET, kind)
    sock.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        sock.listen()
    process = _fork.Process(target=work, args=(sock,), daemon=True)
    process.start()
    assert process.pid is not None
    try:
        yield Least(process.pid, sock.getsockname()[1])
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        sock.close()
