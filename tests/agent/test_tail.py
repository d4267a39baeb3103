"""A tail misses no byte and repeats none, whatever happens to the file, and ends when the job has ended."""

import os
import queue
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent import tail as tails
from jobmon_agent.job import Job
from jobmon_agent.tail import FINGERPRINT
from jobmon_wire import frames
from tests.agent.trees import DEADLINE, Yard, a_yard, answer, until


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
        return [note["kind"] for note in self.notes]

    def shows(self, expected: bytes) -> None:
        until(lambda: self.bytes == expected)

    def end(self) -> None:
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()
        if not self._errors.empty():
            raise self._errors.get()


def following(job: Job) -> Tail:
    """A tail of ``log`` that has come to its end; what follows is what it shows."""
    tail = Tail(job, "log", lines=1)
    tail.shows(b"old 2\n")
    tail.bytes = b""
    return tail


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """Where jobs are started; whatever of them is left is killed after the test."""
    with a_yard(tmp_path) as jobs:
        yield jobs


@pytest.fixture
def job(yard: Yard) -> Job:
    return yard.start("while [ ! -e stop ]; do sleep 0.02; done")


@pytest.fixture
def log(job: Job) -> Path:
    path = Path(job.sandbox_path, "log")
    path.write_bytes(b"old 1\nold 2\n")
    return path


def stop(job: Job) -> None:
    Path(job.sandbox_path, "stop").touch()


def append(path: Path, data: bytes) -> None:
    with open(path, "ab", buffering=0) as file:
        file.write(data)


def test_what_is_written_is_seen_within_half_a_second(job: Job, log: Path) -> None:
    tail = Tail(job, "log", lines=1)
    tail.shows(b"old 2\n")

    for number in range(5):
        line = b"line %d\n" % number
        written = time.monotonic()
        append(log, line)
        tail.shows(tail.bytes if line in tail.bytes else tail.bytes + line)
        assert tail.at[line] - written < 0.5
    stop(job)

    tail.end()
    assert tail.kinds == ["ended"]


def test_the_last_line_before_the_end_is_always_seen(yard: Yard) -> None:
    for number in range(5):
        job = yard.start(f"sleep 0.1{number}; echo the last words")
        tail = Tail(job, "stdout")

        yard.reap(job)
        tail.end()

        assert tail.bytes == b"the last words\n"
        assert tail.kinds == ["ended"]


def test_a_tail_that_begins_after_the_end_gives_all_and_ends(yard: Yard) -> None:
    job = yard.start("echo done")
    yard.reap(job)

    assert list(answer(job, "tail", follow=True)) == [(frames.DATA, b"done\n"), (frames.NOTE, {"kind": "ended"})]


def test_characters_cut_in_the_middle_come_byte_for_byte(job: Job, log: Path) -> None:
    words = "zwölf Boxkämpfer 文字化け\0\n".encode()
    tail = following(job)
    for start in range(0, len(words), 3):
        append(log, words[start : start + 3])
        time.sleep(0.02)
    stop(job)

    tail.end()

    assert tail.bytes == words


def test_a_rotated_file_is_read_to_its_end_and_the_new_one_from_its_start(
    job: Job, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The writer does not know of the new file when the follower has just found it.
    late = [b"late\n"]
    monkeypatch.setattr(tails, "_rest", lambda: late and append(log.with_suffix(".1"), late.pop()))
    tail = following(job)
    append(log, b"before\n")
    tail.shows(b"before\n")

    append(log, b"last of the old\n")
    log.rename(log.with_suffix(".1"))
    append(log, b"first of the new\n")
    until(lambda: "rotated" in tail.kinds)
    append(log, b"second\n")
    tail.shows(b"before\nlast of the old\nlate\nfirst of the new\nsecond\n")
    stop(job)

    tail.end()
    assert tail.kinds == ["rotated", "ended"]
    at = tail.parts.index("rotated")
    assert b"".join(part for part in tail.parts[:at] if isinstance(part, bytes)).endswith(b"late\n")


@pytest.mark.parametrize("is_longer", [False, True], ids=["shorter", "grown past the old end"])
def test_a_truncated_file_is_told_and_read_from_its_start(job: Job, log: Path, is_longer: bool) -> None:
    tail = following(job)
    append(log, b"before\n")
    tail.shows(b"before\n")

    new = b"new\n" * (100 if is_longer else 1)
    with open(log, "wb", buffering=0) as file:  # one write after the truncation: no look comes between
        file.write(new)
    tail.shows(b"before\n" + new)
    stop(job)

    tail.end()
    assert tail.kinds == ["truncated", "ended"]


def test_a_file_rewritten_at_the_same_length_is_read_again(job: Job, log: Path) -> None:
    tail = Tail(job, "log", lines=2)
    tail.shows(b"old 1\nold 2\n")

    log.write_bytes(b"new 1\nnew 2\n")
    tail.shows(b"old 1\nold 2\nnew 1\nnew 2\n")
    stop(job)

    tail.end()
    assert tail.kinds == ["truncated", "ended"]


def test_a_file_that_is_not_there_yet_is_waited_for_and_read_whole(job: Job) -> None:
    tail = Tail(job, "later/log", lines=1)
    until(lambda: tail.kinds == ["waiting"])

    Path(job.sandbox_path, "later").mkdir()
    append(Path(job.sandbox_path, "later", "log"), b"one\ntwo\nthree\n")
    tail.shows(b"one\ntwo\nthree\n")
    stop(job)

    tail.end()
    assert tail.kinds == ["waiting", "ended"]


def test_a_file_that_never_comes_ends_with_the_job(job: Job) -> None:
    tail = Tail(job, "never")
    until(lambda: tail.kinds == ["waiting"])

    stop(job)

    tail.end()
    assert tail.kinds == ["waiting", "ended"]
    assert tail.bytes == b""


def test_an_unlinked_file_is_still_followed(job: Job, log: Path) -> None:
    with open(log, "ab", buffering=0) as writer:
        tail = following(job)
        writer.write(b"before\n")
        tail.shows(b"before\n")
        log.unlink()
        writer.write(b"after\n")
        tail.shows(b"before\nafter\n")
    stop(job)

    tail.end()
    assert tail.kinds == ["ended"]


def test_a_pipe_put_in_place_of_the_file_is_not_opened(job: Job, log: Path) -> None:
    tail = following(job)
    log.unlink()
    os.mkfifo(log)
    stop(job)

    tail.end()

    assert tail.kinds == ["ended"]
    with pytest.raises(OSError, match="No such device"):
        os.open(log, os.O_WRONLY | os.O_NONBLOCK)


def test_holes_come_as_the_zeros_they_are(job: Job, log: Path) -> None:
    tail = following(job)
    with open(log, "r+b", buffering=0) as file:
        file.seek(1000)
        file.write(b"far\n")
    stop(job)

    tail.end()

    assert tail.bytes == bytes(1000 - 12) + b"far\n"


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_appends_rotations_and_truncations_loses_nothing(job: Job, log: Path, seed: int) -> None:
    # Each change is made once the last was seen: what comes twice between two looks is only told as a gap.
    chance = random.Random(seed)
    tail = following(job)
    expected, notes = b"", 0
    for number in range(12):
        words = b"%d:%d " % (seed, number) + chance.randbytes(chance.choice([1, FINGERPRINT, 300])) + b"\n"
        change = chance.choice(["append", "append", "rotate", "truncate"])
        if change == "append":
            append(log, words)
        elif change == "rotate":
            new = log.with_suffix(".new")
            new.write_bytes(words)
            new.rename(log)
            notes += 1
        else:
            notes += bool(log.stat().st_size)
            with open(log, "wb", buffering=0) as file:
                file.write(words)
        expected += words
        tail.shows(expected)
    stop(job)

    tail.end()
    assert len(tail.kinds) == notes + 1


def test_a_reader_that_stops_reading_stops_the_tail(job: Job, log: Path) -> None:
    append(log, b"x" * 10_000_000)
    found = answer(job, "tail", file="log", follow=True, bytes=10_000_000)

    first = [next(found) for _ in range(3)]
    found.close()  # type: ignore[attr-defined]

    assert all(type_ == frames.DATA for type_, _ in first)
    assert sum(len(payload) for _, payload in first) <= 3 * 65536
