"""Agents that come all at once are let in as fast as the server can, and each is told when it is its turn."""

import itertools

from jobmon_server.admission import BURST, KEPT, LONGEST, PLACES, RATE, Admission


def test_as_many_as_may_wait_to_be_accepted_are_taken_at_once() -> None:
    admission = Admission()

    waits = [admission.wait(f"job {number}", 100.0) for number in range(int(BURST) + 1)]

    assert waits[:-1] == [0.0] * int(BURST)
    assert waits[-1] > 0


def test_those_beyond_are_given_turns_at_the_rate_and_are_taken_then() -> None:
    admission = Admission(rate=10.0, burst=5.0)
    jobs = [f"job {number}" for number in range(25)]

    waits = {job: admission.wait(job, 0.0) for job in jobs}
    turns = [wait for wait in waits.values() if wait]

    assert len(turns) == 20
    assert [round(later - sooner, 6) for sooner, later in itertools.pairwise(turns)] == [0.1] * 19
    assert max(turns) <= 20 / 10.0 + 0.2
    assert all(admission.wait(job, wait) == 0.0 for job, wait in waits.items() if wait)


def test_who_comes_too_soon_keeps_its_turn_and_pushes_nobody_back() -> None:
    admission = Admission(rate=10.0, burst=1.0)
    admission.wait("first", 0.0)
    turn = admission.wait("second", 0.0)

    for _ in range(100):
        assert admission.wait("second", 0.0) == turn
    assert admission.wait("third", 0.0) < turn + 0.2
    assert admission.wait("second", turn) == 0.0


def test_ten_thousand_come_back_within_a_minute_and_none_twice() -> None:
    admission, now, tries = Admission(), 0.0, 0
    left = {f"job {number}": 0.0 for number in range(10_000)}  # when each comes
    while left:
        now = min(left.values())
        for job in [job for job, at in left.items() if at <= now]:
            tries += 1
            wait = admission.wait(job, now)
            if wait:
                left[job] = now + wait
            else:
                del left[job]

    assert now < (10_000 - BURST) / RATE + 1
    assert tries == 10_000 + 10_000 - int(BURST)


def test_a_turn_that_is_not_taken_is_lost_and_costs_no_memory() -> None:
    admission = Admission(rate=1.0, burst=1.0)
    admission.wait("first", 0.0)
    admission.wait("late", 0.0)

    admission.wait("other", 2.0 + KEPT)

    assert "late" not in admission._places


def test_nobody_is_told_to_wait_longer_than_ten_minutes_and_the_row_is_bounded() -> None:
    admission = Admission(rate=1e6, burst=1.0)

    waits = [admission.wait(str(number), 0.0) for number in range(PLACES + 10)]

    assert len(admission._places) <= PLACES
    assert max(waits) == LONGEST


def test_a_quiet_minute_gives_the_burst_back() -> None:
    admission = Admission(rate=10.0, burst=5.0)
    assert [admission.wait(str(number), 0.0) for number in range(6)][-1] > 0

    assert [admission.wait(f"later {number}", 60.0) for number in range(5)] == [0.0] * 5


def test_a_window_is_as_long_as_so_many_registrations_take() -> None:
    assert Admission(rate=170.0).window(10_000) == 10_000 / 170.0
