"""The records an agent and its server exchange besides frames.

``Registration`` opens an agent's session, ``Configuration`` answers it,
``Vitals`` come with every beat, ``EndReport`` closes the job.  Each reads
itself from a strict document and writes itself as one; fields that a reader
does not know are passed over, so that a newer peer may say more.
"""

import base64
import binascii
import os

from jobmon_wire import PROTOCOL, datagrams, limits
from jobmon_wire.documents import (
    DocumentError,
    integer,
    labels,
    number,
    optional_integer,
    optional_number,
    text,
)
from jobmon_wire.jobs import EXIT_SOURCES
from jobmon_wire.tuples import NamedTuple
from jobmon_wire.verbs import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

EXEC = "exec"  # the agent stands beside the job, whose process the batch system started
WRAP = "wrap"  # a thin waiter is the job's parent
ATTACH = "attach"  # the job is the shell that called the agent
MODES = (EXEC, WRAP, ATTACH)

AUTO = "auto"  # rung by datagram where that works; else the channel stays open
UDP = "udp"  # rung by datagram alone
TCP = "tcp"  # the channel stays open
CALLBACKS = (AUTO, UDP, TCP)

# Where an agent keeps a certificate that was renewed.
KEPT_IN_FILE, KEPT_IN_MEMORY = "file", "memory"

# What a job's stdout or stderr is.  Only a file can be read without taking bytes from the job's reader.
STREAM_KINDS = ("file", "pipe", "terminal", "none")


class Registration(NamedTuple):
    """What an agent says of itself and its job; all of it is hearsay to the server."""

    epoch: int  # ms since 1970 when this agent started; of two agents of a job the higher is newer
    agent: str  # version
    python: str  # version
    mode: str  # one of MODES
    pid: int  # of the job
    started: float  # s since 1970
    command: str
    name: str
    cwd: str
    user: str
    node: str
    cpus: int
    memory: int  # bytes of the node
    kernel: str
    batch: "Dict[str, str]"
    tags: "Dict[str, str]"
    stdout: str  # one of STREAM_KINDS
    stderr: str

    def document(self) -> "Dict[str, Any]":
        """As it is sent, with the protocol's version."""
        return dict(self._asdict(), protocol=PROTOCOL)

    @classmethod
    def read(cls, document: "Dict[str, Any]") -> "Registration":
        """From what was received.

        Raises:
            DocumentError: a field is missing, of another type or too long.
        """
        return cls(
            epoch=integer(document, "epoch"),
            agent=text(document, "agent", longest=limits.LABEL),
            python=text(document, "python", longest=limits.LABEL),
            mode=_one_of(document, "mode", MODES),
            pid=integer(document, "pid"),
            started=number(document, "started"),
            command=text(document, "command"),
            name=text(document, "name"),
            cwd=text(document, "cwd"),
            user=text(document, "user", longest=limits.LABEL),
            node=text(document, "node", longest=255),  # a DNS name
            cpus=integer(document, "cpus"),
            memory=integer(document, "memory"),
            kernel=text(document, "kernel", longest=255),
            batch=labels(document, "batch"),
            tags=labels(document, "tags"),
            stdout=_one_of(document, "stdout", STREAM_KINDS),
            stderr=_one_of(document, "stderr", STREAM_KINDS),
        )


class Beats(NamedTuple):
    """A session by datagram, as the server opens it for an agent; told over mutual TLS alone."""

    port: int  # UDP, on the address that the agent registered at
    session: bytes  # datagrams.SESSION_BYTES
    secret: bytes  # datagrams.SECRET_BYTES
    interval: float  # s between beats
    counter: int  # the server's last one: lower ones are old
    pending: int  # level of requests that the agent fetches by opening its channel now

    def document(self) -> "Dict[str, Any]":
        """As it is sent; bytes in hexadecimal."""
        return dict(self._asdict(), session=self.session.hex(), secret=self.secret.hex())

    @classmethod
    def read(cls, document: "Dict[str, Any]") -> "Beats":
        """From what was received.

        Raises:
            DocumentError: a field is missing or out of range.
        """
        port, interval = integer(document, "port"), number(document, "interval")
        if not 0 < port < 65536 or not 0.05 <= interval <= 600.0:
            raise DocumentError("beats: a port, and an interval of 0.05 to 600 s were expected")
        return cls(
            port=port,
            session=_hexadecimal(document, "session", datagrams.SESSION_BYTES),
            secret=_hexadecimal(document, "secret", datagrams.SECRET_BYTES),
            interval=interval,
            counter=integer(document, "counter"),
            pending=integer(document, "pending"),
        )


class Configuration(NamedTuple):
    """What the server answers to a registration."""

    ping: float  # s between beats on the channel
    quiet: float = limits.QUIET  # s without a request after which the channel may be closed, if the agent can be rung
    beats: "Optional[Beats]" = None  # None: this server takes no datagrams, and the channel stays open
    callback: str = AUTO  # one of CALLBACKS: how the agent is to be reached
    renew: bool = False  # the agent's certificate is to be renewed now

    def document(self) -> "Dict[str, Any]":
        """As it is sent."""
        beats = self.beats.document() if self.beats else None
        return dict(self._asdict(), beats=beats, protocol=PROTOCOL)

    @classmethod
    def read(cls, document: "Dict[str, Any]") -> "Configuration":
        """From what was received.

        Raises:
            DocumentError: a field is missing or out of range.
        """
        ping = number(document, "ping", limits.PING_INTERVAL)
        quiet = number(document, "quiet", limits.QUIET)
        if not 0.05 <= ping <= 600.0 or not 0.05 <= quiet <= limits.LONGEST_QUIET:
            raise DocumentError("ping and quiet: 0.05 to 600 s, and to %d s, were expected" % limits.LONGEST_QUIET)
        beats = document.get("beats")
        if beats is not None and not isinstance(beats, dict):
            raise DocumentError("beats: an object was expected")
        return cls(
            ping=ping,
            quiet=quiet,
            beats=None if beats is None else Beats.read(beats),
            callback=_one_of(document, "callback", CALLBACKS) if "callback" in document else AUTO,
            renew=document.get("renew") is True,
        )


class Vitals(NamedTuple):
    """How the job is, cheap enough to come with every beat."""

    at: float  # s since 1970, by the node's clock
    cpu_percent: "Optional[float]"  # of one core, since the last beat
    rss_bytes: "Optional[int]"
    processes: "Optional[int]"
    output_bytes: "Optional[int]"  # of stdout and stderr together
    output_at: "Optional[float]"  # s since 1970
    memory_limit: "Optional[int]" = None  # bytes that the job may have; None: no limit, or none known
    oom_kills: "Optional[int]" = None  # processes of it that the kernel killed for want of memory
    state: "Optional[str]" = None  # letter of the job's own process, T when it is stopped
    reason: "Optional[str]" = None  # why the batch system is about to end the job, where it has said so

    def document(self) -> "Dict[str, Any]":
        """As it is sent."""
        return dict(self._asdict())

    @classmethod
    def read(cls, document: "Dict[str, Any]") -> "Vitals":
        """From what was received.

        Raises:
            DocumentError: a field is of another type.
        """
        return cls(
            at=number(document, "at"),
            cpu_percent=optional_number(document, "cpu_percent"),
            rss_bytes=optional_integer(document, "rss_bytes"),
            processes=optional_integer(document, "processes"),
            output_bytes=optional_integer(document, "output_bytes"),
            output_at=optional_number(document, "output_at"),
            memory_limit=optional_integer(document, "memory_limit"),
            oom_kills=optional_integer(document, "oom_kills"),
            state=_state(document),
            reason=_reason(document),
        )


class Exit(NamedTuple):
    """How a job ended: a code or a signal, or neither where that is unknown."""

    code: "Optional[int]"
    signal: "Optional[str]"  # without SIG
    core: bool  # a core was dumped
    source: str  # one of EXIT_SOURCES

    @classmethod
    def read(cls, document: "Dict[str, Any]") -> "Exit":
        """From what was received; neither code nor signal means unknown."""
        code = optional_integer(document, "code")
        signal = None if document.get("signal") is None else text(document, "signal", longest=16)
        if code is not None and signal is not None:
            raise DocumentError("exit: either a code or a signal was expected")
        return cls(code, signal, document.get("core") is True, _one_of(document, "source", EXIT_SOURCES))


def exit_of(status: int, source: str) -> Exit:
    """How a job ended, from what wait() tells of its process and how that is known."""
    if source == "unknown":
        return Exit(None, None, False, source)
    if os.WIFSIGNALED(status):
        return Exit(None, signal_name(os.WTERMSIG(status)), os.WCOREDUMP(status), source)
    return Exit(os.WEXITSTATUS(status), None, False, source)


class EndReport(NamedTuple):
    """The last word of an agent on its job.

    A frame OVER holds the same document in haste: a missing figure is unknown.
    """

    epoch: int  # of the registration it ends: a report may be late, and its job started anew meanwhile
    ended: float  # s since 1970
    exit: Exit
    stdout: bytes  # the last limits.LAST_WORDS bytes
    stderr: bytes
    stdout_bytes: "Optional[int]"  # of the whole output; None where it could not be read
    stderr_bytes: "Optional[int]"
    peak_rss: "Optional[int]"  # bytes; the most that any beat saw
    cpu_seconds: "Optional[float]"
    survivors: int  # processes of the job that outlive it
    reason: "Optional[str]" = None  # why the batch system ended the job, where it has said so

    def document(self) -> "Dict[str, Any]":
        """As it is sent; output in base64."""
        return dict(
            self._asdict(),
            exit=dict(self.exit._asdict()),
            stdout=base64.b64encode(self.stdout).decode("ascii"),
            stderr=base64.b64encode(self.stderr).decode("ascii"),
        )

    @classmethod
    def read(cls, document: "Dict[str, Any]") -> "EndReport":
        """From what was received.

        Raises:
            DocumentError: a field is missing, of another type or too long.
        """
        status = document.get("exit")
        if not isinstance(status, dict):
            raise DocumentError("exit: an object was expected")
        return cls(
            epoch=integer(document, "epoch"),
            ended=number(document, "ended"),
            exit=Exit.read(status),
            stdout=_last_words(document, "stdout"),
            stderr=_last_words(document, "stderr"),
            stdout_bytes=optional_integer(document, "stdout_bytes"),
            stderr_bytes=optional_integer(document, "stderr_bytes"),
            peak_rss=optional_integer(document, "peak_rss"),
            cpu_seconds=optional_number(document, "cpu_seconds"),
            survivors=integer(document, "survivors", 0),
            reason=_reason(document),
        )


def _one_of(document: "Dict[str, Any]", key: str, known: "tuple[str, ...]") -> str:
    value = text(document, key, longest=limits.LABEL)
    if value not in known:
        raise DocumentError("%s: one of %s was expected" % (key, " ".join(known)))
    return value


def _hexadecimal(document: "Dict[str, Any]", key: str, length: int) -> bytes:
    digits = text(document, key, longest=2 * length)
    try:
        value = bytes.fromhex(digits)
    except ValueError:
        value = b""
    if len(value) != length:
        raise DocumentError("%s: %d bytes in hexadecimal were expected" % (key, length))
    return value


def _state(document: "Dict[str, Any]") -> "Optional[str]":
    if document.get("state") is None:
        return None
    state = text(document, "state", longest=1)
    if not (state.isalpha() and state < "\x7f"):
        raise DocumentError("state: one letter was expected")
    return state


def _reason(document: "Dict[str, Any]") -> "Optional[str]":
    return None if document.get("reason") is None else text(document, "reason", longest=limits.REASON)


def _last_words(document: "Dict[str, Any]", key: str) -> bytes:
    encoded = text(document, key, "", longest=2 * limits.LAST_WORDS)
    try:
        data = base64.b64decode(encoded.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise DocumentError("%s: base64 was expected" % key)
    if len(data) > limits.LAST_WORDS:
        raise DocumentError("%s: %d bytes, at most %d" % (key, len(data), limits.LAST_WORDS))
    return data
