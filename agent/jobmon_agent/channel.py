"""The channel: one exchange with the server in which requests come down and answers go up.

One loop waits for the connection and for the pipes of the performers; nothing
in it blocks.  It ends when the job is over and every answer has gone, or when
the connection is lost.
"""

import select
import time

from jobmon_agent.health import Health
from jobmon_agent.job import Job
from jobmon_agent.parting import BRIEF
from jobmon_agent.performer import Performer, failure, hanging
from jobmon_agent.progress import INTERVAL, Progress
from jobmon_agent.report import End
from jobmon_agent.tls import Connection
from jobmon_agent.watch import Watch
from jobmon_wire import frames, http, limits
from jobmon_wire.documents import DocumentError, number
from jobmon_wire.frames import Frame, FrameReader, write_credit, write_frame, write_object
from jobmon_wire.records import Configuration, Exit, Vitals
from jobmon_wire.verbs import KILL_GRACE, VERBS, ArgumentError, UnknownArgumentError, Verb, check_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional

    from jobmon_agent.performer import Perform

MEDIA_TYPE = "application/vnd.jobmon.frames"

_UNSENT = 256 * limits.KIB  # bytes waiting for the network beyond which performers are not read
_SERVER_DEAD = 3.5  # beats without a byte: three missed and half a beat of delay on the way
_SECOND_BEAT = 2.0  # s after the first
_DRAIN = 10.0  # s that answers may take after the job's end; tails end by themselves
_FLUSH = 5.0  # s for the last bytes to leave
_NEWER = "a job started with a newer jobmond.pyz takes it"


class ChannelLostError(Exception):
    """The exchange has ended before the job; the text says why."""

    def __init__(self, why: str, retry_after: "Optional[float]" = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after  # s, where the server said so


class Channel:
    """One exchange on a connection that has registered.

    Args:
        end: what can be told of the job's end.
        configuration: the server's.
        is_brief: nobody has asked: the channel was opened to tell of progress.
    """

    def __init__(
        self,
        connection: Connection,
        job: Job,
        watch: Watch,
        health: Health,
        progress: Progress,
        end: End,
        configuration: Configuration,
        is_brief: bool,
    ) -> None:
        self._connection = connection
        self._job = job
        self._watch = watch
        self._health = health
        self._progress = progress
        self._end = end
        self._told: "Optional[Exit]" = None  # how the job ended, as the server was told last
        self._ping, self._quiet = configuration.ping, configuration.quiet
        self._response = http.Response()
        self._reader = FrameReader(frames.DOWN)
        self._performers: "Dict[bytes, Performer]" = {}
        self._waiting: "Optional[Performer]" = None  # has given an answer, and can give another
        self._heard = time.monotonic()
        self._next_beat = self._next_look = self._heard
        self._has_beaten = False
        self._next_leave = self._heard + (min(BRIEF, self._quiet) if is_brief else self._quiet)
        self._is_let_go = False
        self._over: "Optional[float]" = None  # when the job's end was seen, by the monotonic clock

    def run(self, head: bytes) -> None:
        """Serve until the server lets go of the channel, or the job is over and its answers are out.

        Args:
            head: of the request that opens the channel.

        Raises:
            ChannelLostError, OSError, http.HttpError, frames.FrameError: the
                connection is of no use any more.
        """
        self._connection.unsent += head
        try:
            while not self._is_let_go and not self._is_finished():
                self._speak()
                if self._wait():
                    self._hear()
                self._relay()
        finally:
            for performer in self._performers.values():
                performer.stop()
            self._performers.clear()
            self._keep(None)

    def _is_finished(self) -> bool:
        if self._watch.ended is None:
            return False
        now = time.monotonic()
        if self._over is None:
            self._over = now
            self._look_at_progress(now)
        for performer in list(self._performers.values()):
            if now - self._over > performer.patience:
                self._send(failure(performer.request, "job-ended", "the job has ended"))
                self._forget(performer)
        return (
            self._watch.is_settled
            and not self._performers
            and (not self._connection.unsent or now - self._over > _DRAIN + _FLUSH)
        )

    def _speak(self) -> None:
        """Send what is due by the clock."""
        hanging()  # buries those that have gone
        now = time.monotonic()
        if now - self._heard > _SERVER_DEAD * self._ping:
            raise ChannelLostError("the server is silent")
        if now >= self._next_beat:
            self._keep(None)  # it does not know which members the beat sees
            # The second beat comes soon: CPU is known from two.
            self._next_beat = now + (self._ping if self._has_beaten else min(self._ping, _SECOND_BEAT))
            self._has_beaten = True
            self._connection.unsent += http.chunk(_vitals(self._health, self._end.announced()))
        if now >= self._next_leave:
            self._next_leave = now + self._quiet
            if not self._performers:
                self._send(Frame(frames.LEAVE, frames.CHANNEL, b""))
        if now >= self._next_look:
            self._next_look = now + INTERVAL
            self._look_at_progress(now)

    def _look_at_progress(self, now: float) -> None:
        for line in self._progress.lines(now):
            document = {"at": time.time(), "text": line}
            self._connection.unsent += http.chunk(write_object(frames.LOG, frames.CHANNEL, document))

    def _wait(self) -> bool:
        """Wait for anything to do, and read what performers say; whether the connection can be moved on."""
        interests = {self._connection.fileno(): self._connection.interest()}
        if len(self._connection.unsent) < _UNSENT:
            hungry = [performer for performer in self._performers.values() if performer.is_hungry]
            interests.update((performer.pipe, select.POLLIN) for performer in hungry)
        inlets = [performer.inlet for performer in self._performers.values() if performer.inlet]
        interests.update((inlet.pipe, select.POLLOUT) for inlet in inlets if inlet.is_waiting)
        due = min(self._next_beat, self._next_look, self._next_leave, self._heard + _SERVER_DEAD * self._ping)
        if self._over is not None:
            due = min([due] + [self._over + performer.patience for performer in self._performers.values()])
        ready = self._watch.poll(interests, due - time.monotonic())
        self._tell_end()
        for performer in self._performers.values():
            if performer.pipe in ready:
                performer.read()
        for inlet in inlets:
            if inlet.pipe in ready:
                inlet.move()
        return self._connection.fileno() in ready

    def _tell_end(self) -> None:
        """Tell of the job's end at once, and again when it is better known."""
        ended, status = self._watch.ended, self._watch.exit
        if ended is None or status is None or status == self._told:
            return
        self._told = status
        for frame in self._end.in_haste(ended, status):
            self._connection.unsent += http.chunk(frame)
            self._hear()  # which moves bytes both ways

    def _hear(self) -> None:
        data = self._connection.move()
        if data:
            self._heard = time.monotonic()
        body = self._response.feed(data)
        if self._response.status not in (0, 200):
            raise ChannelLostError("the server refused the channel: %d" % self._response.status)
        for frame in self._reader.feed(body):
            self._take(frame)
        # The word that lets the worker go may come with the end of the channel, which then is no loss.
        if not self._is_let_go and (self._connection.is_at_end or self._response.is_complete):
            raise ChannelLostError("the server has closed the channel")

    def _take(self, frame: Frame) -> None:
        performer = self._performers.get(frame.request)
        if frame.type == frames.REQUEST:
            self._begin(frame)
        elif frame.type == frames.CREDIT and performer:
            performer.grant(frame.credit())
        elif frame.type in frames.TYPED and performer and performer.inlet:
            performer.inlet.put(frame)
        elif frame.type == frames.CANCEL and performer:
            self._send(failure(frame.request, "cancelled", "the reader left"))
            self._forget(performer)
        elif frame.type == frames.LEAVE:
            self._is_let_go = not self._performers
        elif frame.type == frames.PING:
            self._send(Frame(frames.PONG, frames.CHANNEL, frame.payload))
        elif frame.type == frames.GOODBYE:
            raise ChannelLostError("the server said goodbye", _retry_after(frame))

    def _begin(self, frame: Frame) -> None:
        if frame.request in self._performers:
            raise frames.FrameError("a request that is under way came again")
        try:
            document = frame.document()
            verb = VERBS.get(str(document.get("verb")))
            perform = _performs(verb)
            if verb is None or perform is None:
                problem = ("unsupported", "the job's agent is older than this command; " + _NEWER)
            elif len(self._performers) + hanging() >= limits.REQUESTS_PER_JOB:
                problem = ("busy", "%d requests are under way; end one first" % (len(self._performers) + hanging()))
            elif verb.takes_input and any(performer.inlet for performer in self._performers.values()):
                problem = ("busy", "somebody has a shell of this job open; there is one at a time")
            else:
                self._perform(frame.request, verb, perform, document.get("arguments"))
                return
        except UnknownArgumentError as error:  # the server has checked it by its own table
            what = "the job's agent is older than this command's option %r; ask without it; " % error.name
            problem = ("unsupported", what + _NEWER)
        except ArgumentError as error:
            problem = ("bad-request", str(error))
        except OSError as error:
            problem = ("action-failed", "the agent cannot start a process: %s" % error.strerror)
        self._send(failure(frame.request, *problem))

    def _perform(self, request: bytes, verb: Verb, perform: "Perform", given: object) -> None:
        # The server has checked them; an agent that believed it would be only as safe as the server.
        arguments = check_arguments(verb, given if isinstance(given, dict) else {})
        patience = _DRAIN
        if "grace" in arguments:
            patience += KILL_GRACE if arguments["grace"] is None else arguments["grace"]
        waiting = self._waiting
        if waiting is not None and verb.is_repeatable and waiting.go_on(request, verb.name, arguments, patience):
            self._performers[request], self._waiting = waiting, None
            return
        self._performers[request] = Performer(
            request, perform, self._job, arguments, patience, verb.takes_input, verb.is_repeatable
        )

    def _relay(self) -> None:
        done = []
        for performer in list(self._performers.values()):
            parts: "List[bytes]" = list(performer.release())
            due = performer.inlet.due() if performer.inlet else 0
            if due:
                parts.append(write_credit(performer.request, due))
            self._connection.unsent += http.chunk(b"".join(parts))
            if performer.is_done:
                done.append(self._performers.pop(performer.request))
        if not done:
            self._connection.flush()  # what is followed is waited for
        else:
            self._next_leave = time.monotonic() + self._quiet
            try:
                self._hear()  # moves bytes both ways: no answer waits for the death of its performer
            finally:
                for performer in done:
                    if performer.can_go_on:
                        self._keep(performer)
                    else:
                        performer.stop()

    def _keep(self, performer: "Optional[Performer]") -> None:
        """Have this one wait for another request, and no other."""
        if self._waiting is not None:
            self._waiting.stop()
        self._waiting = performer

    def _forget(self, performer: Performer) -> None:
        self._next_leave = time.monotonic() + self._quiet
        performer.stop()
        del self._performers[performer.request]

    def _send(self, frame: Frame) -> None:
        self._connection.unsent += http.chunk(write_frame(*frame))


def _performs(verb: "Optional[Verb]") -> "Optional[Perform]":
    # The verb's code is imported before the fork, so that it is read once.
    from jobmon_agent.verbs import VERBS as KNOWN

    return None if verb is None else KNOWN.get(verb.name)


def _vitals(health: Health, reason: "Optional[str]") -> bytes:
    sample = health.sample()
    seen = [getattr(sample, field) for field in Vitals._fields if field != "reason"]
    said = Vitals(*(seen + [reason]))
    return write_object(frames.VITALS, frames.CHANNEL, said.document())


def _retry_after(frame: Frame) -> "Optional[float]":
    try:
        return number(frame.document(), "retry_after", 0.0) or None
    except DocumentError:
        return None
