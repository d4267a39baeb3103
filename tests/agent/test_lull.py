"""While nothing new is said an agent beats as it always does, and whatever is new it takes as it always does."""

import os
import select
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from jobmon_agent.beats import Beats
from jobmon_agent.health import Health
from jobmon_agent.lull import AS_BEFORE, AS_STILL, Lull
from jobmon_agent.pidstat import start_time
from jobmon_wire import datagrams
from jobmon_wire.datagrams import ACK, BEAT, WAKE, Ends

INTERVAL = 25.0  # s; no test waits for it
UP, DOWN, SESSION = b"u" * 32, b"d" * 32, b"session."


class _Itself:
    """This process as a job, as far as beats need one."""

    uuid, pid, starttime = "1" * 36, os.getpid(), start_time(os.getpid())
    group, mode, stdout, stderr = 0, "exec", None, None


class Field:
    """An agent's beats and the server they go to, in one thread: the server acts when the agent waits."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(2.0)
        self.ends = Ends(SESSION, DOWN, UP)
        self.beats = Beats(Health(_Itself()))  # type: ignore[arg-type]
        address = self.socket.getsockname()
        told = {"family": 2, "address": address, "session": SESSION, "up": UP, "down": DOWN, "interval": INTERVAL}
        self.beats.begin({**told, "counter": 0, "pending": 0, "keeps_channel": True})
        self.pauses: list[int] = []  # ms that the agent has waited
        self.bodies: list[bytes] = []  # of beats that were genuine
        self.looks = 0
        self.is_still = False
        self.agent: Any = None  # where it beats from

    def take(self) -> None:
        """Receive a beat; it must be genuine and new."""
        datagram, self.agent = self.socket.recvfrom(2048)
        opened = self.ends.open(datagram, (BEAT,))
        assert opened is not None
        self.bodies.append(opened[1])

    def answer(self, pending: int = 0) -> bytes:
        datagram = self.ends.seal(ACK, datagrams.write_ack(pending, b"challeng", INTERVAL))
        self.socket.sendto(datagram, self.agent)
        return datagram

    def settle(self) -> Lull:
        """Have the agent know the challenge and what an answer says; what comes next if nothing does."""
        for _ in range(2):
            self.beats.beat(time.monotonic())
            self.take()
            self.answer()
            self.beats.hear(time.monotonic())
        lull = self.beats.lull()
        assert lull is not None
        return lull

    def run(self, lull: Lull, acts: list[Any]) -> Any:
        """Let the lull go on; an act a wait, in place of time: it says whether a datagram is there then."""
        left = iter(acts)

        def poll(pause: int) -> list[tuple[int, int]]:
            self.pauses.append(pause)
            act = next(left, None)
            if act is None:
                return [(-5, select.POLLIN)]  # something else
            return [(self.beats.bell, select.POLLIN)] if act() else []

        def look() -> tuple[bytes, int]:
            self.looks += 1
            return self.beats.body(self.is_still), AS_STILL if self.is_still else AS_BEFORE

        ready = lull.last(poll, [(self.beats.bell, select.POLLIN)], 1, look)
        self.beats.resume(lull, time.monotonic())
        return ready


@pytest.fixture
def field() -> Iterator[Field]:
    made = Field()
    yield made
    made.socket.close()
    made.beats._close()


def nothing() -> bool:
    return False


def answered(field: Field) -> Any:
    def act() -> bool:
        field.take()
        field.answer()
        return True

    return act


def test_beats_go_on_one_after_the_other_and_the_job_is_looked_at_at_every_second(field: Field) -> None:
    lull = field.settle()
    before = field.ends.highest

    ready = field.run(lull, [nothing, answered(field)] * 7)

    assert ready == [(-5, select.POLLIN)]
    assert field.ends.highest == before + 7
    assert field.looks == 4 == -(-7 // (1 + AS_BEFORE))
    assert field.beats.works
    between = field.pauses[2::2]  # from an answer to the next beat
    assert all(900 * INTERVAL <= pause <= 1100 * INTERVAL for pause in between)
    assert len(set(between)) > 1
    assert 0.8 * INTERVAL <= field.beats.next - time.monotonic() <= 1.1 * INTERVAL
    assert field.beats.lull() is not None  # it may begin again


def test_a_job_that_is_still_is_looked_at_the_more_seldom(field: Field) -> None:
    lull = field.settle()
    field.is_still = True

    field.run(lull, [nothing, answered(field)] * 9)

    assert field.looks == 3 == -(-9 // (1 + AS_STILL))


def test_an_answer_that_tells_of_requests_ends_it_and_rings_the_agent(field: Field) -> None:
    lull = field.settle()

    def rings() -> bool:
        field.take()
        field.answer(pending=1)
        return True

    field.run(lull, [nothing, answered(field), nothing, rings, nothing])

    assert field.beats.is_rung
    assert len(field.pauses) == 4


def test_a_wake_up_ends_it_and_rings_the_agent(field: Field) -> None:
    lull = field.settle()

    def rings() -> bool:
        field.socket.sendto(field.ends.seal(WAKE, datagrams.write_wake(1)), field.agent)
        return True

    field.run(lull, [nothing, answered(field), rings])

    assert field.beats.is_rung


@pytest.mark.parametrize("at", [4, 15, 25, -1])
def test_an_answer_that_was_altered_is_none(field: Field, at: int) -> None:
    lull = field.settle()

    def forges() -> bool:
        field.take()
        datagram = bytearray(field.ends.seal(ACK, datagrams.write_ack(0, b"challeng", INTERVAL)))
        datagram[at] ^= 1
        field.socket.sendto(datagram, field.agent)
        return True

    field.run(lull, [nothing, forges])

    assert field.beats.lull() is None  # its beat is unanswered
    assert 0.4 * INTERVAL <= field.beats.next - time.monotonic() <= 0.55 * INTERVAL


def test_an_answer_that_comes_again_is_none(field: Field) -> None:
    lull = field.settle()
    taken: list[bytes] = []

    def answers() -> bool:
        field.take()
        taken.append(field.answer())
        return True

    def again() -> bool:
        field.take()
        field.socket.sendto(taken[0], field.agent)
        return True

    field.run(lull, [nothing, answers, nothing, again])

    assert field.beats.lull() is None


def test_a_beat_without_an_answer_is_followed_by_another_after_half_the_time(field: Field) -> None:
    lull = field.settle()

    ready = field.run(lull, [nothing, nothing])

    assert ready == []
    assert 450 * INTERVAL <= field.pauses[1] <= 550 * INTERVAL
    field.beats.beat(time.monotonic())
    field.take()
    field.take()
    field.answer()
    field.beats.hear(time.monotonic())
    assert field.beats.lull() is not None


def test_an_answer_that_another_overtook_is_taken_as_any(field: Field) -> None:
    lull = field.settle()

    def late() -> bool:
        field.take()
        field.ends.seal(ACK, datagrams.write_ack(0, b"challeng", INTERVAL))  # lost on the way
        field.answer()
        return True

    field.run(lull, [nothing, late])

    assert field.beats.lull() is not None


def test_a_lull_ends_where_progress_is_to_be_told(field: Field) -> None:
    lull = field.settle()

    assert lull.last(lambda pause: [], [], 1, lambda: None) == []

    field.beats.resume(lull, time.monotonic())
    assert field.beats.lull() is not None


def test_a_beat_of_a_still_job_says_what_the_last_one_said_and_that_it_is_so_now(field: Field) -> None:
    before = datagrams.read_beat(field.beats.body())[2]
    time.sleep(0.01)

    later = datagrams.read_beat(field.beats.body(is_still=True))[2]

    assert before["at"] < later["at"] <= time.time()
    assert later == before | {"at": later["at"]}
