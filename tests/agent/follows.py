"""Following a file in a test: a tail in a thread of its own, and what a job does to its log."""

import queue
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent.job import Job
from jobmon_wire import frames
from jobmon_wire.cursor import Cursor, Trail
from tests.agent.trees import DEADLINE, Yard, answer, until

OLD = b"old 1\nold 2\n"  # what stands in the file before anybody follows it


@pytest.fixture(name="job")
def job_until_stop(yard: Yard) -> Job:
    """A job that runs until ``stop``."""
    return yard.start("while [ ! -e stop ]; do sleep 0.02; done")


@pytest.fixture(name="log")
def log_of_job(job: Job) -> Path:
    """Its log, with two lines in it."""
    path = Path(job.sandbox_path, "log")
    path.write_bytes(OLD)
    return path


class Tail:
    """A tail in a thread of its own, and what it has answered so far."""

    def __init__(self, job: Job, file: str, **arguments: Any) -> None:
        self.bytes = b""
        self.notes: list[dict[str, Any]] = []
        self.at: dict[bytes, float] = {}
        self.parts: list[object] = []
        self._errors: queue.Queue[Exception] = queue.Queue()
        self._frames = answer(job, "tail", file=file, follow=True, **arguments)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for type_, payload in self._frames:
                if type_ == frames.DATA:
                    self.bytes += payload
                    self.at[payload] = time.monotonic()
                    self.parts.append(payload)
                else:
                    self.notes.append(payload)
                    self.parts.append(payload["kind"])
        except Exception as error:
            self._errors.put(error)

    @property
    def kinds(self) -> list[str]:
        """What was told, but for the places themselves."""
        return [note["kind"] for note in self.notes if note["kind"] != "at"]

    def shows(self, expected: bytes) -> None:
        until(lambda: self.bytes == expected)

    def end(self) -> None:
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()
        if not self._errors.empty():
            raise self._errors.get()


def following(job: Job, **arguments: Any) -> Tail:
    """A tail of ``log`` that has come to its end; what follows is what it shows."""
    tail = Tail(job, "log", lines=1, **arguments)
    tail.shows(b"old 2\n")
    tail.bytes = b""
    return tail


def cut_off(job: Job, enough: int, **arguments: Any) -> tuple[bytes, str]:
    """Read so many bytes of a follow, leave it, and give the bytes and the place behind them."""
    found, trail = b"", Trail(Cursor(0, 0, 0, 0, 0))
    answered = answer(job, "tail", follow=True, **arguments)
    for type_, payload in answered:
        if type_ == frames.DATA:
            found += payload
            trail.feed(payload)
        elif "cursor" in payload:
            trail = Trail(Cursor.read(payload["cursor"]))
        if len(found) >= enough:
            break
    answered.close()  # type: ignore[attr-defined]
    return found, trail.cursor().text()


def stop(job: Job) -> None:
    """Let the job end."""
    Path(job.sandbox_path, "stop").touch()


def append(path: Path, data: bytes) -> None:
    """Write to the end of a file, in one write."""
    with open(path, "ab", buffering=0) as file:
        file.write(data)
