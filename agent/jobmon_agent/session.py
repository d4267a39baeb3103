"""The agent's dealings with the server over the job's life: register, serve, report the end.

A server that cannot be reached, or that refuses, is tried again and again; the
job knows nothing of it.
"""

import os
import ssl
import time

from jobmon_agent import VERSION, report
from jobmon_agent.channel import MEDIA_TYPE, Channel, ChannelLostError
from jobmon_agent.health import Health
from jobmon_agent.job import Job
from jobmon_agent.parent import Parent
from jobmon_agent.parting import GAVE_UP, LEFT, LINGER, REPORTED
from jobmon_agent.progress import Progress
from jobmon_agent.renewal import CredentialFile
from jobmon_agent.tls import Address, Connection, client_context, connect, read_address
from jobmon_agent.watch import Watch
from jobmon_wire import http, limits
from jobmon_wire.credential import Credential
from jobmon_wire.documents import DocumentError, read_object, text, write_document
from jobmon_wire.frames import FrameError
from jobmon_wire.records import KEPT_IN_FILE, KEPT_IN_MEMORY, Configuration, Registration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

_FIRST_RETRY = 1.5  # s at most; with the third of it at least, agents of a restarted server spread out
_SLOWEST_EARLY = 8.0  # s while a server may be restarting: agents shall be back within 10
_OUTAGE = 600.0  # s from which on a server is not restarting but gone
_SLOWEST = 60.0  # s
_STEADY = 5.0  # s a channel must have lived for its loss to be a new outage
_CLEARED_PATIENCE = 2.0  # s, when the job's directory is gone: somebody clears the node up
_ANSWER = 30.0  # s the server may take for a short answer: it commits to disk before it
_AGENT = "jobmond/" + VERSION


class RefusedError(Exception):
    """The server answered, and said no."""

    def __init__(self, status: int, retry_after: "Optional[float]") -> None:
        super().__init__("the server answered %d" % status)
        self.status = status
        self.retry_after = retry_after  # s, where it said so

    @property
    def is_deliberate(self) -> bool:
        """The server is well and does not want this agent, now or ever."""
        return self.status < 500 and self.retry_after is None

    @property
    def is_final(self) -> bool:
        """Asking again will not change the answer."""
        return self.status in (400, 401, 403, 404, 410, 413, 415)


class Retries:
    """When to try again: soon at first, then ever later, never all agents at once."""

    def __init__(self) -> None:
        self._failures = 0
        self._since: "Optional[float]" = None

    def reset(self) -> None:
        """It worked."""
        self._failures = 0
        self._since = None

    def delay(self, now: float, asked: "Optional[float]" = None, is_slow: bool = False) -> float:
        """Seconds until the next attempt, after one that failed.

        Args:
            now: by a steady clock.
            asked: what the server asked for.
            is_slow: the server is well and refuses.
        """
        self._since = now if self._since is None else self._since
        ceiling = min(_SLOWEST_EARLY, _FIRST_RETRY * 2 ** min(self._failures, 10))
        if is_slow or now - self._since > _OUTAGE:
            ceiling = _SLOWEST
        self._failures += 1
        drawn = ceiling / 3 + _random() * ceiling * 2 / 3
        return drawn if asked is None else min(max(asked, 0.0), _OUTAGE) + _random() * _FIRST_RETRY


class Session:
    """One worker's dealings with the server."""

    def __init__(
        self,
        job: Job,
        watch: Watch,
        credential: Credential,
        descriptor: int,
        facts: "Dict[str, Any]",
        parent: Parent,
    ) -> None:
        self._job = job
        self._watch = watch
        self._facts = facts
        self._parent = parent
        self._credential = credential
        self._descriptor = descriptor
        self._file = CredentialFile(descriptor, facts["renewed"])
        self._address: Address = read_address(credential.server)
        self._context = client_context(credential, descriptor, is_renewed=facts["renewed"] is not None)
        self._registration: "Optional[Registration]" = None
        self._health: Health = facts["health"]
        self._end = report.End(job, facts["epoch"], self._health)
        self._progress = Progress(job.sandbox, facts["log"], facts["progress"])
        self._retries = Retries()
        self._is_registered = False
        self._report = b""

    def run(self) -> int:
        """Serve until nobody asks any more or the end is reported: LEFT, REPORTED, or GAVE_UP."""
        while True:
            asked, is_slow = None, False
            try:
                return self._serve()
            except RefusedError as error:
                if self._watch.ended is not None and error.is_final:
                    return GAVE_UP
                asked, is_slow = error.retry_after, error.is_deliberate
            except ChannelLostError as error:
                asked = error.retry_after
            except (OSError, http.HttpError, FrameError, DocumentError):
                pass  # no connection, or a peer that does not speak the protocol
            finally:
                if self._watch.ended is not None:
                    self._watch.release()
            if self._watch.ended is not None and time.time() - self._watch.ended > self._patience():
                return GAVE_UP
            self._watch.sleep(self._retries.delay(time.monotonic(), asked, is_slow))

    def _patience(self) -> float:
        """Seconds after the job's end in which its report is tried."""
        is_cleared = os.fstat(self._job.sandbox).st_nlink == 0
        return _CLEARED_PATIENCE if is_cleared else LINGER

    def _serve(self) -> int:
        connection = self._connect()
        try:
            if self._watch.ended is None or not self._is_registered:
                # Also for a job that is over already: its progress lines go through the channel.
                configuration = self._register(connection)
                if configuration.renew and self._watch.ended is None and self._renew(connection):
                    connection.close()
                    connection = self._connect()
                    configuration = self._register(connection)
                self._open_channel(connection, configuration)
                if self._watch.ended is None:
                    return LEFT
                # The channel stays open meanwhile: else the job would look silent for a moment.
                self._report_end(None)
            else:
                self._report_end(connection)
            return REPORTED
        finally:
            connection.close()

    def _connect(self) -> Connection:
        return connect(self._address, self._context, self._watch.wait)

    def _register(self, connection: Connection) -> Configuration:
        self._registration = self._registration or report.registration(self._job, self._facts)
        answer = self._post(connection, "/v1/register", self._registration.document())
        configuration = Configuration.read(read_object(answer))
        # Only an answer that was read means success: TLS 1.3 tells a refused certificate that late.
        self._is_registered = True
        if configuration.beats is not None:
            certificate = ssl.PEM_cert_to_DER_cert(self._credential.certificate)
            self._parent.tell_session(configuration.beats, certificate, connection.socket, configuration.callback)
        return configuration

    def _renew(self, connection: Connection) -> bool:
        """Have a new certificate for the same key; whether there is one."""
        kept = KEPT_IN_FILE if self._file.is_replaceable() else KEPT_IN_MEMORY
        said = {"certificate": self._credential.certificate, "kept": kept}
        try:
            answer = read_object(self._post(connection, "/v1/renew", said))
            renewed = self._credential._replace(certificate=text(answer, "certificate"))
            context = client_context(renewed, self._descriptor, is_renewed=True)
        except (RefusedError, DocumentError, ssl.SSLError):  # the old one is good for as long as it is
            return False
        self._credential, self._context = renewed, context
        self._file.replace(renewed.certificate)
        self._parent.tell_renewed(self._file.renewed(renewed.certificate))
        return True

    def _open_channel(self, connection: Connection, configuration: Configuration) -> None:
        head = http.request_head("/v1/channel", self._address.authority, _AGENT, MEDIA_TYPE, None)
        start = time.monotonic()
        try:
            Channel(
                connection,
                self._job,
                self._watch,
                self._health,
                self._progress,
                self._end,
                configuration,
                self._facts["is_brief"],
            ).run(head)
        finally:
            if self._progress.state is not None:
                self._parent.tell_progress(self._progress.state)
            # A server that registers an agent and drops its channel at once is no success.
            if time.monotonic() - start > _STEADY:
                self._retries.reset()

    def _report_end(self, connection: "Optional[Connection]") -> None:
        self._watch.settle()
        ended, exit = self._watch.ended, self._watch.exit
        assert ended is not None
        assert exit is not None
        own = self._connect() if connection is None else connection
        try:
            # Made once: the same report sent twice is one end.
            self._report = self._report or write_document(self._end.whole(ended, exit).document())
            self._post(own, "/v1/end", self._report)
        finally:
            if connection is None:
                own.close()

    def _post(self, connection: Connection, path: str, document: "Any") -> bytes:
        """One short exchange; the body of the answer."""
        body = document if isinstance(document, bytes) else write_document(document)
        head = http.request_head(path, self._address.authority, _AGENT, "application/json", len(body))
        connection.unsent += head + body
        response = http.Response()
        answer = bytearray()
        deadline = time.monotonic() + _ANSWER
        while not response.is_complete:
            if not self._watch.wait(connection.fileno(), connection.interest(), deadline - time.monotonic()):
                raise OSError("the server does not answer")
            answer += response.feed(connection.move())
            if len(answer) > limits.DOCUMENT_BYTES:
                raise http.HttpError("the answer is too long")
            if connection.is_at_end and not response.is_complete:
                raise OSError("the server closed the connection")
        if response.status not in (200, 204):
            raise RefusedError(response.status, _seconds(response.headers.get("retry-after")))
        return bytes(answer)


def _seconds(value: "Optional[str]") -> "Optional[float]":
    return float(value) if value and value.isdigit() and len(value) < 9 else None


def _random() -> float:
    """From 0 to 1; the random module would cost 1 MB."""
    return int.from_bytes(os.urandom(4), "big") / 2.0**32
