"""A tail that goes on over rotation and truncation tells of them, and keeps all lines in order."""

import contextlib
import os
import random
import threading
from pathlib import Path

import pytest

from jobmon_agent import follower as followers
from jobmon_agent.job import Job
from jobmon_agent.lookout import Lookout
from jobmon_wire.cursor import FINGERPRINT
from tests.agent.follows import Tail, append, following, stop
from tests.agent.trees import until


def test_a_rotated_file_is_read_to_its_end_and_the_new_one_from_its_start(
    job: Job, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The writer does not know of the new file when the follower has just found it.
    late = [b"late\n"]
    monkeypatch.setattr(followers, "linger", lambda: late and append(log.with_suffix(".1"), late.pop()))
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


def test_an_unlinked_file_is_told_and_still_followed(job: Job, log: Path) -> None:
    with open(log, "ab", buffering=0) as writer:
        tail = following(job)
        writer.write(b"before\n")
        tail.shows(b"before\n")
        log.unlink()
        writer.write(b"after\n")
        until(lambda: tail.kinds == ["unlinked"])
        tail.shows(b"before\nafter\n")
    stop(job)

    tail.end()
    assert tail.kinds == ["unlinked", "ended"]


def test_a_pipe_put_in_place_of_the_file_is_not_opened(job: Job, log: Path) -> None:
    tail = following(job)
    log.unlink()
    os.mkfifo(log)
    stop(job)

    tail.end()

    assert tail.kinds == ["unlinked", "ended"]
    with pytest.raises(OSError, match="No such device"):
        os.open(log, os.O_WRONLY | os.O_NONBLOCK)


def test_a_file_that_is_replaced_just_after_its_name_was_looked_at_counts_as_rotated_alone(
    job: Job, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = log.with_suffix(".new")
    arrivals = Lookout.arrivals
    is_written = threading.Lock()  # the old file's last line and the new file, as one

    def look_and_be_late(self: Lookout) -> int:
        told = arrivals(self)
        with is_written, contextlib.suppress(FileNotFoundError):
            new.rename(log)
        return told

    monkeypatch.setattr(Lookout, "arrivals", look_and_be_late)
    tail = following(job)
    with is_written:
        new.write_bytes(b"first of the new\n")
        append(log, b"last of the old\n")
    tail.shows(b"last of the old\nfirst of the new\n")
    stop(job)

    tail.end()
    assert tail.kinds == ["rotated", "ended"]


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
