"""A tail misses no byte and repeats none, and ends when the job has ended."""

import socket
import threading
import time
from pathlib import Path

import pytest

from jobmon_agent import lookout
from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.lookout import BURST, LIGHT_SPACING, SPACING, Lookout
from jobmon_agent.place import BACKLOG
from jobmon_wire import frames
from tests.agent.follows import Tail, append, following, stop
from tests.agent.trees import Yard, answer, until


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

    _, data, ended = answer(job, "tail", follow=True)
    assert data == (frames.DATA, b"done\n")
    assert ended[1]["kind"] == "ended"
    assert ended[1]["exit"]["code"] == 0


def test_characters_cut_in_the_middle_come_byte_for_byte(job: Job, log: Path) -> None:
    words = "zwölf Boxkämpfer 文字化け\0\n".encode()
    tail = following(job)
    for start in range(0, len(words), 3):
        append(log, words[start : start + 3])
        time.sleep(0.02)
    stop(job)

    tail.end()

    assert tail.bytes == words


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


def test_holes_come_as_the_zeros_they_are(job: Job, log: Path) -> None:
    tail = following(job)
    with open(log, "r+b", buffering=0) as file:
        file.seek(1000)
        file.write(b"far\n")
    stop(job)

    tail.end()

    assert tail.bytes == bytes(1000 - 12) + b"far\n"


def test_a_reader_that_stops_reading_stops_the_tail(job: Job, log: Path) -> None:
    append(log, b"x" * 10_000_000)
    found = answer(job, "tail", file="log", follow=True, bytes=10_000_000)

    (at, _), *first = [next(found) for _ in range(4)]
    found.close()  # type: ignore[attr-defined]

    assert at == frames.NOTE
    assert all(type_ == frames.DATA for type_, _ in first)
    assert sum(len(payload) for _, payload in first) <= 3 * 65536


@pytest.mark.parametrize(
    ("end", "code", "signal"), [("exit 3", 3, None), ("kill -9 $$", None, "KILL")], ids=["code", "signal"]
)
def test_the_end_says_how_the_job_ended(yard: Yard, end: str, code: int | None, signal: str | None) -> None:
    job = yard.start(f"echo word; {end}")
    tail = Tail(job, "stdout")
    yard.reap(job)

    tail.end()

    told = tail.notes[-1]["exit"]
    # Before Linux 6.15 nobody but the parent knows, and then that is said.
    assert (told["code"], told["signal"]) == (code, signal) or told["source"] == "unknown"


def test_the_waiter_of_wrap_mode_tells_a_follower_how_the_job_ended(yard: Yard) -> None:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here, there:
        job = yard.start("echo word")._replace(mode="wrap", status=here.fileno(), pidfd=None)
        there.send(b"%d" % (7 << 8))
        tail = Tail(job, "stdout")

        tail.end()

        assert tail.notes[-1]["exit"] == {"code": 7, "signal": None, "core": False, "source": "wrap"}
        assert here.recv(16) == b"1792", "the word is left for the agent's own report"


def test_a_last_line_of_a_process_that_outlives_the_job_is_seen(yard: Yard) -> None:
    # 0.1 s: within the time that a follow gives to what the job has left behind.
    job = yard.start("(sleep 0.1; echo late) & echo early")
    tail = Tail(job, "stdout")
    yard.reap(job)

    tail.end()

    assert tail.bytes == b"early\nlate\n"


def test_a_line_that_comes_just_before_the_watch_is_renewed_waits_for_no_other(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "SAFETY", 3600.0)  # no look but at the kernel's word
    job = yard.start("sleep 300")
    arm, times = Lookout.arm, []

    def armed_late(self: Lookout, descriptors: list[int]) -> None:
        times.append(0)
        if len(times) in (2, 4):
            append(Path(f"/proc/self/fd/{job.stdout}"), b"a line\n")
        arm(self, descriptors)

    monkeypatch.setattr(Lookout, "arm", armed_late)
    tail = Tail(job, "stdout")
    tail.shows(b"a line\n")
    append(Path(f"/proc/self/fd/{job.stdout}"), b"another\n")

    tail.shows(b"a line\nanother\na line\n")
    assert len(times) >= 4


def test_a_reader_of_the_latest_skips_a_backlog_and_the_sums_are_exact(job: Job, log: Path) -> None:
    tail = answer(job, "tail", file="log", lines=1, follow=True, latest=True)
    seen, skipped, ended = 0, 0, False
    for type_, payload in tail:
        if type_ == frames.DATA:
            seen += len(payload)
            if payload == b"old 2\n":
                append(log, b"".join(b"%07d\n" % number for number in range(3 * BACKLOG // 8)))
                append(log, b"the end\n")
            ended = payload.endswith(b"the end\n")
        elif payload["kind"] == "skipped":
            assert payload["at"] == len("old 1\n") + seen + skipped
            skipped += payload["bytes"]
        if ended:
            break

    assert seen < 2 * BACKLOG
    assert skipped > BACKLOG
    assert len("old 1\n") + seen + skipped == log.stat().st_size


def test_a_reader_of_everything_gets_a_backlog_whole(job: Job, log: Path) -> None:
    lines = b"".join(b"%07d\n" % number for number in range(2 * BACKLOG // 8))
    append(log, lines + b"the end\n")
    found = bytearray()
    for type_, payload in answer(job, "tail", file="log", bytes=len(lines) + 8, follow=True):
        found += payload if type_ == frames.DATA else b""
        if found.endswith(b"the end\n"):
            break

    assert found == lines + b"the end\n"


def test_a_flood_of_lines_is_looked_at_a_hundred_times_a_second_and_costs_the_writer_no_event_each(
    job: Job, log: Path
) -> None:
    sizes = []
    tail = answer(job, "tail", file="log", lines=0, follow=True)
    next(tail)
    is_over = threading.Event()

    def flood() -> None:
        with open(log, "ab", buffering=0) as file:
            while not is_over.is_set():
                file.write(b"a line of a job that writes without a pause\n")
                time.sleep(0.0005)

    writer = threading.Thread(target=flood)
    writer.start()
    end = time.monotonic() + 0.5
    for type_, payload in tail:
        sizes += [len(payload)] if type_ == frames.DATA else []
        if time.monotonic() > end:
            break
    is_over.set()
    writer.join()

    assert 1 < len(sizes) <= (0.5 + BURST * SPACING) / LIGHT_SPACING + 2


def test_a_stream_that_is_no_file_is_named_with_the_two_ways_to_see_it(yard: Yard) -> None:
    job = yard.start("sleep 300", output=False)

    with pytest.raises(VerbFailure, match=r"--log-file FILE, or redirect its stdout to a file") as refused:
        list(answer(job, "tail", follow=True))

    assert refused.value.code == "no-stream"
