"""The least that could do a piece of the server's work: plain programs, each a process of its own.

A limit is measured as the server is: by the CPU that its process has used for
so many pieces of work.
"""

import asyncio
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

from benchmarks.simulation.throwaway import START, cpu_of, free_ports
from jobmon_pki.site import Site
from jobmon_server.configuration import read_configuration
from jobmon_server.state import State
from jobmon_server.tls import TLSFiles, server_context
from jobmon_wire import datagrams

BUFFER = 4 * 2**20  # bytes of a socket's buffer, as much as the system grants
DRAIN = 64  # datagrams in one turn of the loop
TOLD = 0.02  # s between two words on how many were taken
ACKNOWLEDGED = datagrams.write_ack(0, bytes(datagrams.CHALLENGE_BYTES), 0.0)

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")  # None: not installed
_NGINX_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")

_fork = multiprocessing.get_context("fork")


class Least(NamedTuple):
    """A running limit."""

    pid: int
    port: int

    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        return cpu_of(self.pid)


def response(body: bytes, kind: str = "application/json") -> bytes:
    """A response as long as the server's."""
    head = f"HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\ncontent-type: {kind}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode("ascii") + body


@contextmanager
def answering(site: Site, answer: bytes, anchor: Path) -> Iterator[Least]:
    """A raw protocol on uvloop that sends these bytes for whatever comes, behind TLS that trusts that authority."""

    class Raw(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(answer)

    async def serve(sock: socket.socket) -> None:
        files = TLSFiles(site.server_certificate, site.server_key, anchor)
        await asyncio.get_running_loop().create_server(Raw, sock=sock, ssl=server_context(files))
        await asyncio.Event().wait()

    yield from _process(socket.SOCK_STREAM, lambda sock: uvloop.run(serve(sock)))


@contextmanager
def serving_by_nginx(site: Site, answer: bytes, directory: Path) -> Iterator[Least]:
    """One worker of nginx that answers with this document behind TLS for agents, where nginx is installed.

    It has no way to trust an authority without its root, so it verifies one signature more than the server does.
    """
    (port,) = free_ports(1)
    home = directory / "nginx"
    home.mkdir()
    anchors = home / "anchors.pem"
    anchors.write_text(site.job_ca.read_text() + site.client_ca.read_text())
    temporary = "".join(f"{name}_temp_path {home}/{name};" for name in _NGINX_TEMPORARY)
    configuration = home / "nginx.conf"
    configuration.write_text(
        f"daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error;\n"
        f"events {{ worker_connections 4096; }}\n"
        f"http {{ access_log off; {temporary}\n"
        f"server {{ listen 127.0.0.1:{port} ssl;\n"
        f"ssl_certificate {site.server_certificate}; ssl_certificate_key {site.server_key};\n"
        f"ssl_client_certificate {anchors}; ssl_verify_client on; ssl_verify_depth 3; ssl_protocols TLSv1.3;\n"
        f"ssl_session_cache off; ssl_conf_command NumTickets 0;\n"
        f"location / {{ default_type application/json; return 200 '{answer.decode()}'; }} }} }}\n"
    )
    if not os.geteuid():  # its worker reads the site, which is root's then
        configuration.write_text("user root;\n" + configuration.read_text())
    master = subprocess.Popen([str(NGINX), "-c", str(configuration)], stderr=subprocess.DEVNULL)
    try:
        children = Path(f"/proc/{master.pid}/task/{master.pid}/children")
        deadline = time.monotonic() + START
        while not (found := children.read_text().split()):
            if master.poll() is not None or time.monotonic() > deadline:
                raise ProcessLookupError(f"nginx did not start: {(home / 'error').read_text()[-600:]}")
            time.sleep(TOLD)
        yield Least(int(found[0]), port)
    finally:
        master.terminate()
        master.wait()


@contextmanager
def draining(port: int = 0, *, is_answering: bool = False) -> Iterator[Least]:
    """A loop that receives datagrams and looks at none.

    Args:
        port: to receive at; 0: any.
        is_answering: answer each with as many bytes as an acknowledgment has.
    """
    answer = bytes(datagrams.HEAD_BYTES + len(ACKNOWLEDGED) + datagrams.TAG_BYTES)

    async def drain(sock: socket.socket) -> None:
        buffer = bytearray(datagrams.LONGEST + 1)

        def ready() -> None:
            for _ in range(DRAIN):
                try:
                    _, address = sock.recvfrom_into(buffer)
                    if is_answering:
                        sock.sendto(answer, address)
                except BlockingIOError:
                    return

        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        sock.setblocking(False)
        asyncio.get_running_loop().add_reader(sock.fileno(), ready)
        await asyncio.Event().wait()

    yield from _process(socket.SOCK_DGRAM, lambda sock: uvloop.run(drain(sock)), port)


class Ear(NamedTuple):
    """A running part of a server that hears beats."""

    least: Least
    number: Any  # shared with it: datagrams that it has taken

    def hush(self) -> None:
        """Have it answer no more."""
        os.kill(self.least.pid, signal.SIGUSR1)

    @property
    def taken(self) -> int:
        """Genuine and new datagrams until a moment ago."""
        return int(self.number.value)


@contextmanager
def hearing(site: Site) -> Iterator[Ear]:
    """What of the site's server takes beats, alone in a process: sessions, registry, jobs, and the socket."""
    number = _fork.Value("q", -1)
    configuration = read_configuration(site.config_path)

    async def hear(sock: socket.socket) -> None:
        state = State.open(configuration, site)
        sock.setblocking(False)
        state.beats.listen(sock)
        # What cannot be had otherwise: the server answers whatever it takes.
        mute: Callable[..., None] = lambda *_: None  # noqa: E731
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: setattr(state.beats, "_answer", mute))
        while True:
            number.value = state.beats.taken
            await asyncio.sleep(TOLD)

    port = configuration.agents.port
    for least in _process(socket.SOCK_DGRAM, lambda sock: uvloop.run(hear(sock)), port):
        deadline = time.monotonic() + START
        while number.value < 0:  # it reads its jobs
            if time.monotonic() > deadline:
                raise TimeoutError("the part of a server that hears beats did not begin")
            time.sleep(TOLD)
        yield Ear(least, number)


def _process(kind: socket.SocketKind, work: Callable[[socket.socket], None], port: int = 0) -> Iterator[Least]:
    sock = socket.socket(socket.AF_INET, kind)
    sock.bind(("127.0.0.1", port))
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
