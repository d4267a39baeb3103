"""The daemon: both ports in one event loop, from the first check to the last goodbye.

It puts the parts together and knows the signals: TERM and INT drain and end,
HUP reads the certificate and the configuration again.  What the server does
with a request is the application's.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import resource
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

from jobmon_pki.errors import PkiError
from jobmon_pki.profiles import ADMIN, JOB, OWNER
from jobmon_pki.site import Site
from jobmon_server.application import build
from jobmon_server.configuration import Address, Configuration, ConfigurationError, read_configuration
from jobmon_server.desk import Desk
from jobmon_server.doors import Door
from jobmon_server.figures import Source
from jobmon_server.health import Health
from jobmon_server.notify import notify, notify_reloading
from jobmon_server.ports import Port, bind, bind_datagrams
from jobmon_server.revocation import Revocations
from jobmon_server.sources import Sources
from jobmon_server.state import State
from jobmon_server.tls import TLSError, TLSFiles
from jobmon_wire.limits import KIB
from jobmon_wire.records import TCP

SWEEP_SECONDS = 1.0  # s between two looks at what is revoked, expired or overdue; 5 s are promised
STOP_SECONDS = 5.0  # s for the goodbyes to agents and watchers
MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h
MAPPED_FROM = 128 * KIB  # bytes; glibc's own, which no longer grows once it has been set
DRAIN_SECONDS = 3.0  # s for the answers that are under way after that

log = logging.getLogger("jobmon.server")


def run(path: Path, announce: Callable[[str], None]) -> None:
    """Serve until a signal ends it.

    Args:
        path: of the configuration.
        announce: is told, in one line, when connections are accepted.

    Raises:
        ConfigurationError, PkiError, PortError, TLSError, StoreError: it cannot start.
    """
    configuration = read_configuration(path)
    _allow_many_files()
    _map_large_buffers()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Daemon(path, configuration).serve(announce))


class Daemon:
    """One running server."""

    def __init__(self, path: Path, configuration: Configuration) -> None:
        self._path = path
        self._configuration = configuration
        self._stop = asyncio.Event()
        self._site = Site.open(configuration.site)
        self._is_ledger_readable = True
        self._is_unswept = False  # something was revoked since the last sweep that came to its end

    async def serve(self, announce: Callable[[str], None]) -> None:
        """Open both ports, serve, and drain when told to."""
        async with contextlib.AsyncExitStack() as stack:
            self._sources = Sources(self._configuration.nat, time.monotonic)
            self._revocations = Revocations(self._site.ledger_path)
            stack.callback(self._revocations.close)
            people = Door((OWNER, ADMIN), self._revocations, issuer_key_id=self._site.people_key_id())
            jobs = Door((JOB,), self._revocations, issuer_key_id=self._site.job_key_id())
            self._users = self._port(stack, self._configuration.users, self._site.people_ca, people)
            self._agents = self._port(stack, self._configuration.agents, self._site.job_ca, jobs)
            datagrams = self._datagrams(stack)
            state = State.open(self._configuration, self._site, time.time)
            stack.push_async_callback(self._drain, state)
            await state.start()
            self._state = state
            users_app, agents_app = build(state)
            await self._users.open(users_app)
            await self._agents.open(agents_app)
            if datagrams is not None:
                state.beats.listen(datagrams)
            self._desk = self._open_desk(stack, state, {"users": people, "agents": jobs})
            self._listen_to_signals()
            self._sweep()
            sweeper = asyncio.create_task(self._sweep_for_ever())
            stack.callback(sweeper.cancel)
            _keep_what_is_there()
            _give_back_what_is_free()
            announce(self.announcement())
            notify("READY=1")
            log.info("accepting connections", extra={"facts": {"cluster": self._site.cluster}})
            await self._stop.wait()
            notify("STOPPING=1")
            log.info("going down")

    def announcement(self) -> str:
        """The line that says that connections are accepted."""
        users = _with_port(self._site.users_url, self._users.number)
        agents = _with_port(self._site.agents_url, self._agents.number)
        return f"jobmon server: users {users} agents {agents} cluster {self._site.cluster}"

    def _port(self, stack: contextlib.AsyncExitStack, address: Address, anchor: Path, door: Door) -> Port:
        sock = bind(address)
        stack.callback(sock.close)
        return Port(sock, TLSFiles(self._site.server_certificate, self._site.server_key, anchor), door, self._sources)

    def _datagrams(self, stack: contextlib.AsyncExitStack) -> socket.socket | None:
        """The socket for beats: on the agents' port's number, so that a firewall has one number to open."""
        if self._configuration.callback == TCP:
            return None
        sock = bind_datagrams(self._configuration.agents._replace(port=self._agents.number))
        stack.callback(sock.close)
        return sock

    def _open_desk(self, stack: contextlib.AsyncExitStack, state: State, doors: dict[str, Door]) -> Desk:
        """Let the machine's own people and programs ask how it is."""
        loops = {"main": asyncio.get_running_loop()}
        desk = Desk(loops, Source(state, doors), Health(loops, state.store))
        desk.open(self._site.directory, self._configuration.metrics)
        stack.push_async_callback(asyncio.to_thread, desk.close)  # who is being answered needs this loop
        return desk

    async def _drain(self, state: State) -> None:
        """Refuse what is new, say goodbye, let what is under way come to its end."""
        ports = (self._users, self._agents)
        for port in ports:
            port.refuse_new()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await state.stop()
        except TimeoutError:
            log.warning("some agents or watchers did not take the goodbye")
        await asyncio.gather(*(port.close(DRAIN_SECONDS) for port in ports))

    # The sweep

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                self._sweep()
            except Exception:  # one failure must not be the end of all revocation
                log.exception("a sweep failed")

    def _sweep(self) -> None:
        self._is_unswept |= self._refresh()
        for port in (self._users, self._agents):
            ended = port.sweep(is_thorough=self._is_unswept)
            if ended:
                log.info("connections ended: revoked, expired or overdue", extra={"facts": {"number": ended}})
        if self._is_unswept:
            self._state.beats.sweep(self._revocations.reason)
        self._is_unswept = False
        self._desk.note()

    def _refresh(self) -> bool:
        """Read what was revoked; say whether that has changed."""
        is_changed = False
        try:
            is_changed = self._revocations.refresh()
            self._is_ledger_readable = True
        except PkiError as error:
            if self._is_ledger_readable:  # once, not every second
                log.error("revocations cannot be read", extra={"facts": {"cause": error}})
            self._is_ledger_readable = False
        if is_changed:
            log.info("the list of revoked certificates has changed")
        return is_changed

    # Signals

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _reload(self) -> None:
        """Read certificate and configuration again; after an error everything stays as it was."""
        notify_reloading()
        try:
            configuration = read_configuration(self._path)
            for port in (self._users, self._agents):
                port.reload()
        except (ConfigurationError, TLSError) as error:
            log.error("nothing was reloaded", extra={"facts": {"cause": error}})
        else:
            self._take(configuration)
            log.info("reloaded certificate and configuration")
        notify("READY=1")

    def _take(self, configuration: Configuration) -> None:
        old = self._configuration
        fixed = {key: getattr(old, key) for key in ("site", "users", "agents", "callback", "metrics")}
        if configuration != configuration._replace(**fixed):
            log.warning("a change of site, users, agents, callback or metrics takes a restart")
        self._configuration = configuration._replace(**fixed)
        self._state.configuration = self._configuration
        self._sources.nat = self._configuration.nat
        self._state.shells.review(self._configuration.shell)
        logging.getLogger().setLevel(configuration.log.upper())


def _allow_many_files() -> None:
    """Use all descriptors that the system grants: each connection takes one, and the usual limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _map_large_buffers() -> None:
    """Have the 256 KiB that each connection's TLS reads into mapped for it alone, of which it then uses a page.

    glibc does so until the first is freed; from then on it takes them from the
    heap, where a connection holds 9 KiB more of what others have written to.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, MAPPED_FROM)


def _keep_what_is_there() -> None:
    """Have the collector of garbage look no more at what stays to the end: all jobs may be among it."""
    gc.collect()
    gc.freeze()


def _give_back_what_is_free() -> None:
    """Give back the pages that the start used and left: glibc returns of itself only those at the heap's end."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _with_port(url: str, port: int) -> str:
    """The URL with the port that is really listened on."""
    head, _, _ = url.rpartition(":")
    return f"{head}:{port}"
