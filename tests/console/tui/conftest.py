"""A server's answers without a server: what the console's tests put behind its screens."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from jobmon_console.errors import JobMonError
from jobmon_console.replies import Kept
from jobmon_console.tui.app import Console
from jobmon_console.tui.panes.output import Output
from jobmon_wire import PROTOCOL
from jobmon_wire.documents import write_document
from jobmon_wire.frames import CHANNEL, DATA, NOTE, RECORD, Frame
from tests.console.tui import screens

ME = "/DC=org/DC=example/OU=People/CN=alice"


def record(number: int, **fields: Any) -> dict[str, Any]:
    """A public job record."""
    return {
        "id": f"8812-{number:04d}",
        "uuid": f"uuid-{number}",
        "owner": "alice",
        "owner_name": ME,
        "cluster": "caf",
        "node": f"wn{number % 3:03d}",
        "name": f"train-{number}",
        "state": "running",
        "health": "ok",
        "exit": None,
        "started": "2026-11-23T00:00:00.000Z",
        "ended": None,
        "command": f"python train.py --fold {number}",
        "cpu_percent": 12.5 * number,
        "rss_bytes": number * 2**28,
        "output_bytes": 1000 * number,
        "progress": f"{number * 7 % 100}% event {number}k",
        "batch": {},
        "tags": {},
    } | fields


def frame(type_: int, payload: bytes | dict[str, Any]) -> Frame:
    """A frame of an answer."""
    return Frame(type_, CHANNEL, payload if isinstance(payload, bytes) else write_document(payload))


PROCESSES = [
    {"pid": 100, "ppid": 1, "state": "S", "name": "bash", "command": "bash job.sh", "user": "alice", "cpu_seconds": 1.5,
     "rss": 4_000_000, "threads": 1, "started": 1.0,
     "started_exactly": "100:dfe873ac", "is_job": True},
    {"pid": 101, "ppid": 100, "state": "R", "name": "python", "command": "python train.py", "user": "alice",
     "cpu_seconds": 7000.0, "rss": 2**30, "threads": 8, "started": 2.0,
     "started_exactly": "200:dfe873ac", "is_job": False},
    {"pid": 102, "ppid": 100, "state": "S", "name": "tee", "command": "tee log", "user": "alice", "cpu_seconds": 0.1,
     "rss": 900_000, "threads": 1, "started": 2.0,
     "started_exactly": "201:dfe873ac", "is_job": False},
]  # fmt: skip
ENTRIES = [
    {
        "name": "data",
        "kind": "directory",
        "size": 0,
        "modified": 1.7e9,
        "mode": 0o755,
        "owner": "alice",
        "target": None,
    },
    {
        "name": "out.log",
        "kind": "file",
        "size": 4096,
        "modified": 1.7e9,
        "mode": 0o644,
        "owner": "alice",
        "target": None,
    },
]


class FakeSource:
    """The client of a server that lives in memory.

    Attributes:
        jobs: records by uuid.
        trouble: raised by every call, while it is set.
        asked: calls in order, as pairs of verb or path and arguments.
        open: verbs whose answers are under way.
        output: what a tail sends first.
        other: bytes that an ended job's other stream has.
    """

    def __init__(self, jobs: list[dict[str, Any]] | None = None) -> None:
        self.jobs = {job["uuid"]: job for job in jobs or []}
        self.trouble: JobMonError | None = None
        self.release: dict[str, Any] = {"version": "0.1.0", "protocol": PROTOCOL}
        self.is_slow = False  # the list never gets complete
        self.is_endless = False  # a file never comes to its end
        self.is_heard = False  # a sign of life comes every second, as from a server
        self.asked: list[tuple[str, Any]] = []
        self.open: list[str] = []
        self.output = b"".join(b"step %d loss 0.1\n" % number for number in range(40))
        self.other = 0
        self.notes: list[dict[str, Any]] = []
        self.processes: list[dict[str, Any]] = PROCESSES
        self.entries: list[dict[str, Any]] = ENTRIES
        self.events: list[dict[str, Any]] = [{"seq": 1, "at": 1.7e9, "kind": "registered", "text": "on wn001"}]
        self.audit: list[dict[str, Any]] = []
        self.details: dict[str, Any] = {}
        self.kill_answer: dict[str, Any] | JobMonError = {
            "signal": "TERM",
            "sent": [100, 101],
            "killed": [],
            "left": [],
        }
        self.kill_answers: dict[str, dict[str, Any] | JobMonError] = {}  # by uuid, where it is another
        self._lines: asyncio.Queue[dict[str, Any] | JobMonError] = asyncio.Queue()

    def change(self, *jobs: dict[str, Any]) -> None:
        """Jobs changed or came."""
        for job in jobs:
            self.jobs[job["uuid"]] = job
        self._lines.put_nowait({"kind": "jobs", "jobs": list(jobs)})

    def remove(self, *uuids: str) -> None:
        """Jobs are gone."""
        for uuid in uuids:
            self.jobs.pop(uuid, None)
        self._lines.put_nowait({"kind": "gone", "uuids": list(uuids)})

    def breaks(self, error: JobMonError, for_good: bool = False) -> None:
        """The watch ends with an error; for good: the next tries, too."""
        self.trouble = error if for_good else None
        self._lines.put_nowait(error)

    async def fetch(self, call: Any) -> Any:
        if self.trouble:
            raise self.trouble
        if call.path == "/v1/whoami":
            return {"name": ME, "owner": "alice", "role": "owner", "clusters": [], "cluster": "caf"} | self.release
        self.asked.append(("job", call.path))
        uuid = call.path.rsplit("/", 1)[-1]
        return dict(self.jobs[uuid], registration={"cwd": "/home/alice", "cpus": 8}) | self.details

    async def content(self, call: Any) -> Kept:
        self.asked.append(("output", call.query))
        return Kept(b"last words\n", 100, 111, self.other)

    async def rows(self, call: Any) -> AsyncIterator[dict[str, Any]]:
        if self.trouble:
            raise self.trouble
        if call.path.endswith("/log"):
            for event in self.events:
                yield event
            return
        if call.path == "/v1/audit":
            for row in self.audit:
                yield row
            return
        yield {"kind": "sync", "epoch": "e", "total": len(self.jobs), "counts": {}}
        yield {"kind": "jobs", "jobs": list(self.jobs.values())}
        if not self.is_slow:
            yield {"kind": "live"}
        while True:
            try:
                line = await asyncio.wait_for(self._lines.get(), 1.0 if self.is_heard else None)
            except TimeoutError:
                line = {"kind": "alive"}
            if isinstance(line, JobMonError):
                raise line
            yield line

    async def frames(self, call: Any) -> AsyncIterator[Frame]:
        verb, arguments = call.body["verb"], call.body["arguments"]
        self.asked.append((verb, {"job": call.path.split("/")[3]} | arguments))
        self.open.append(verb)
        try:
            async for one in self._answer(verb, arguments):
                yield one
        finally:
            self.open.remove(verb)

    def _short(self) -> dict[str, Frame]:
        return {
            "ps": frame(RECORD, {"processes": self.processes}),
            "ls": frame(RECORD, {"path": self.asked[-1][1].get("path"), "entries": self.entries}),
            "cat": frame(DATA, self.output),
            "head": frame(DATA, self.output),
            "node": frame(
                RECORD, {"node": "wn001", "kernel": "6.1", "cpus": 8, "memory": 2**36, "load": [1.0, 1.0, 1.0]}
            ),
        }

    async def _answer(self, verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        if verb == "tail":
            yield frame(DATA, self.output)
            for note in self.notes:
                yield frame(NOTE, note)
            await asyncio.Event().wait()
        elif verb == "top":
            yield frame(RECORD, {
                "at": 1.7e9, "job": {"cpu_percent": 812.0, "rss": 2**30, "processes": 3, "threads": 10},
                "node": {"load": [3.2, 2.0, 1.1], "cpus": 8, "memory": 64 * 2**30, "memory_available": 40 * 2**30},
                "processes": [dict(process, cpu_percent=50.0) for process in self.processes],
            })  # fmt: skip
            await asyncio.Event().wait()
        elif verb in self._short():
            yield self._short()[verb]
            if verb == "cat" and self.is_endless:
                await asyncio.Event().wait()
        elif verb == "kill":
            answer = self.kill_answers.get(self.asked[-1][1]["job"], self.kill_answer)
            if isinstance(answer, JobMonError):
                raise answer
            yield frame(RECORD, answer)

    async def aclose(self) -> None:
        pass

    def renew(self) -> None:
        self.asked.append(("renew", None))


class Clock:
    """Both clocks, moved by hand."""

    def __init__(self) -> None:
        self.at = 1_795_392_000.0  # 2026-11-23T00:00:00Z

    def __call__(self) -> float:
        return self.at


@pytest.fixture(autouse=True)
def nothing_frozen() -> Iterator[None]:
    """A console lets the collector pass over what is there when its list is complete; a test's is soon rubbish."""
    usual = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*usual)


@pytest.fixture
def make_record() -> Callable[..., dict[str, Any]]:
    return record


@pytest.fixture
def make_source() -> type[FakeSource]:
    return FakeSource


@pytest.fixture
def source() -> FakeSource:
    """A server with seven jobs on three nodes."""
    source = FakeSource([record(number) for number in range(1, 8)])
    source.is_heard = True  # on a busy machine a test may take as long as a server may be silent
    return source


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a second click may come late, and a test may look late for a notice."""
    monkeypatch.setattr(Console, "CLICK_CHAIN_TIME_THRESHOLD", 60.0)
    monkeypatch.setattr(Console, "NOTIFICATION_TIMEOUT", 60.0)


@pytest.fixture
def console(source: FakeSource) -> Console:
    return Console([("caf", source)])


@pytest.fixture
def output(console: Console) -> Output:
    """The Output tab."""
    return console.jobs.detail.output


@pytest.fixture
def screen_text() -> Callable[[Console], str]:
    """The screen as a person reads it."""

    return screens.text_of


@pytest.fixture
def settle() -> Callable[..., Any]:
    """Tick and wait until a claim holds, or fail with the screen."""

    async def wait(pilot: Any, claim: Callable[[], object], seconds: float = 5.0) -> None:
        app = pilot.app
        for _ in range(int(seconds / 0.01)):
            app.jobs.tick()
            await asyncio.sleep(0.01)
            if claim():
                await pilot.pause()
                return
        raise AssertionError(screens.text_of(app))

    return wait
