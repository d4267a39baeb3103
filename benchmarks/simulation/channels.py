"""The channel of a simulated agent: requests come down, made-up answers go up, by the real protocol.

Frames, credit, pings, vitals and the asking for leave are those of the real
agent; only what is answered was never read from a node.  Nothing here knows of
TLS: a channel is given bytes and a way to write.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from benchmarks.simulation.jobs import LINE, Job
from jobmon_wire import answers, frames, http, limits
from jobmon_wire.cursor import Cursor
from jobmon_wire.documents import write_document
from jobmon_wire.frames import Frame, FrameReader, write_frame, write_object
from jobmon_wire.records import Configuration
from jobmon_wire.verbs import VERBS, ArgumentError, check_arguments, signal_number

FOLLOWED = 1.0  # s between two lines of an output that is followed
LINES = 500  # lines of one answer; they are made up one by one
FATAL = ("TERM", "KILL", "INT", "QUIT", "HUP")

Reply = list[tuple[int, Any]]  # types and payloads: bytes, or an object


class Asked:
    """One request under way."""

    __slots__ = ("credit", "timer")

    def __init__(self) -> None:
        self.credit = limits.CREDIT_WINDOW  # bytes
        self.timer: asyncio.TimerHandle | None = None  # the next part of an answer that goes on


class Channel:
    """One open channel.

    Args:
        job: whose.
        configuration: the server's.
        write: takes what is to be sent, as a chunk of HTTP.
        close: ends the connection.
        killed: is told of a signal that has ended the job.
    """

    def __init__(
        self,
        job: Job,
        configuration: Configuration,
        write: Callable[[bytes], None],
        close: Callable[[], None],
        killed: Callable[[int], None],
    ) -> None:
        self._job = job
        self._ping, self._quiet = configuration.ping, configuration.quiet
        self._write = write
        self._close = close
        self._killed = killed
        self._reader = FrameReader(frames.DOWN)
        self._asked: dict[bytes, Asked] = {}
        self._loop = asyncio.get_running_loop()
        self._beat: asyncio.Handle | None = None
        self._next_leave = self._loop.time() + self._quiet
        self.answered = 0  # requests
        self.retry_after: float | None = None  # s, where the server said goodbye
        self.is_let_go = False  # by the server, for want of requests
        self._beat = self._loop.call_soon(self._look)  # once its request is out

    def take(self, data: bytes) -> None:
        """Bytes of the response's body.

        Raises:
            FrameError: they are no frames.
        """
        for frame in self._reader.feed(data):
            self._take(frame)

    def end(self) -> None:
        """The connection has gone."""
        for request in list(self._asked):
            self._forget(request)
        if self._beat is not None:
            self._beat.cancel()

    def _look(self) -> None:
        """Tell the vitals, and ask for leave when nobody asked for long."""
        now = self._loop.time()
        self._send(frames.VITALS, frames.CHANNEL, self._job.vitals(time.time()).document())
        if now >= self._next_leave and not self._asked:
            self._send(frames.LEAVE)
            self._next_leave = now + self._quiet
        self._beat = self._loop.call_later(min(self._ping, max(self._next_leave - now, 0.01)), self._look)

    def _take(self, frame: Frame) -> None:
        if frame.type == frames.REQUEST:
            self._begin(frame)
        elif frame.type == frames.CREDIT and frame.request in self._asked:
            self._asked[frame.request].credit += frame.credit()
        elif frame.type == frames.CANCEL and frame.request in self._asked:
            self._finish(frame.request, "cancelled", "the reader left")
        elif frame.type == frames.PING:
            self._send(frames.PONG, payload=frame.payload)
        elif frame.type == frames.GOODBYE:
            self.retry_after = float(frame.document().get("retry_after") or 0.0)
            self._close()
        elif frame.type == frames.LEAVE and not self._asked:
            self.is_let_go = True
            self._close()

    def _begin(self, frame: Frame) -> None:
        self._asked[frame.request] = Asked()
        document = frame.document()
        verb = VERBS.get(str(document.get("verb")))
        answer = None if verb is None else _ANSWERS.get(verb.name)
        if verb is None or answer is None:
            self._finish(frame.request, "unsupported", "simulated agents do not know the verb")
            return
        try:
            arguments = check_arguments(verb, document.get("arguments") or {})
        except ArgumentError as error:
            self._finish(frame.request, "bad-request", str(error))
            return
        if verb.name == "kill" and arguments["pid"] is not None:
            self._finish(frame.request, "unsupported", "simulated agents signal whole jobs alone")
            return
        self._reply(frame.request, answer(self._job, arguments))
        if arguments.get("follow") or (verb.name == "top" and arguments["count"] != 1):
            self._go_on(frame.request, arguments, self._job.output // LINE, 1)
        else:
            self._finish(frame.request)
        if verb.name == "kill" and arguments["signal"] in FATAL:
            self._killed(signal_number(arguments["signal"]))

    def _go_on(self, request: bytes, arguments: dict[str, Any], line: int, count: int) -> None:
        """Answer again and again: a line of output more, or the processes once more."""

        def part() -> None:
            self._reply(request, _top(self._job, arguments) if is_top else [(frames.DATA, self._job.line(line))])
            if is_top and count + 1 == arguments["count"]:
                self._finish(request)
            else:
                self._go_on(request, arguments, line + 1, count + 1)

        is_top = "follow" not in arguments
        self._asked[request].timer = self._loop.call_later(arguments["delay"] if is_top else FOLLOWED, part)

    def _reply(self, request: bytes, parts: Reply) -> None:
        asked = self._asked[request]
        sent = []
        for type_, payload in parts:
            content = payload if isinstance(payload, bytes) else write_document(payload)
            if len(content) > asked.credit:
                break  # a slow reader misses lines that never were
            asked.credit -= len(content)
            sent.append(write_frame(type_, request, content))
        self._write(http.chunk(b"".join(sent)))

    def _finish(self, request: bytes, code: str | None = None, message: str = "") -> None:
        self._send(frames.END, request, answers.end(code, message))
        self._forget(request)
        self.answered += 1

    def _forget(self, request: bytes) -> None:
        timer = self._asked.pop(request).timer
        if timer is not None:
            timer.cancel()
        self._next_leave = self._loop.time() + self._quiet

    def _send(self, type_: int, request: bytes = frames.CHANNEL, payload: Any = b"") -> None:
        is_bytes = isinstance(payload, bytes)
        frame = write_frame(type_, request, payload) if is_bytes else write_object(type_, request, payload)
        self._write(http.chunk(frame))


def _ps(job: Job, arguments: dict[str, Any]) -> Reply:
    return [(frames.RECORD, {"processes": job.ps()})]


def _top(job: Job, arguments: dict[str, Any]) -> Reply:
    columns = ("pid", "ppid", "state", "name", "cpu_percent", "cpu_seconds", "rss", "threads", "gpu_memory")
    rows = [{column: row[column] for column in columns} for row in job.ps()]
    total = {"cpu_percent": job.cpu, "rss": job.rss, "processes": len(rows), "threads": job.program.cpus, "gpus": []}
    node = {"load": [1.0, 1.0, 1.0], "cpus": 64, "memory": 2**38, "memory_available": 2**37}
    return [(frames.RECORD, {"at": time.time(), "job": total | _figures(job), "node": node, "processes": rows})]


def _figures(job: Job) -> dict[str, Any]:
    unknown = dict.fromkeys(("memory", "memory_peak", "cpu_limit", "throttled", "throttled_seconds"))
    return unknown | {"memory_limit": job.memory_limit, "oom_kills": 0}


def _ls(job: Job, arguments: dict[str, Any]) -> Reply:
    return [(frames.RECORD, {"path": job.registration().cwd, "entries": job.ls()})]


def _head(job: Job, arguments: dict[str, Any]) -> Reply:
    return [(frames.DATA, b"".join(map(job.line, range(min(arguments.get("lines") or 10, LINES)))))]


def _tail(job: Job, arguments: dict[str, Any]) -> Reply:
    last = job.output // LINE
    data = b"".join(map(job.line, range(max(0, last - min(arguments["lines"], LINES)), last)))
    parts: Reply = [(frames.DATA, data)] if data else []
    if arguments["follow"]:
        place = Cursor.at(1, job.index + 1, last * LINE, data[-LINE:])
        parts.append((frames.NOTE, {"kind": "at", "cursor": place.text()}))
    return parts


def _kill(job: Job, arguments: dict[str, Any]) -> Reply:
    pids = [row["pid"] for row in job.ps()]
    return [(frames.RECORD, {"signal": arguments["signal"], "sent": pids, "killed": [], "left": []})]


def _node(job: Job, arguments: dict[str, Any]) -> Reply:
    said = job.registration()
    node = {"node": said.node, "kernel": said.kernel, "cpus": said.cpus, "cpu_model": "simulated", "uptime": 10**6}
    node |= {"load": [1.0, 1.0, 1.0], "memory": said.memory, "memory_available": said.memory // 2, "swap": 0}
    node |= {"swap_free": 0, "disk": {"size": 2**40, "free": 2**39}, "user": said.user, "cwd": said.cwd}
    node |= {"python": said.python, "agent": said.agent, "mode": said.mode, "batch": said.batch}
    return [(frames.RECORD, node | {"job": {"rss": job.rss, "gpus": []} | _figures(job)})]


_ANSWERS: dict[str, Callable[[Job, dict[str, Any]], Reply]] = {
    "ps": _ps,
    "top": _top,
    "ls": _ls,
    "head": _head,
    "cat": _head,
    "tail": _tail,
    "kill": _kill,
    "node": _node,
}
