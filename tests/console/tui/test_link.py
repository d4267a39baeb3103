"""A link says truthfully how a connection is, and never gives up but on a certificate problem."""

from hypothesis import given
from hypothesis import strategies as st

from jobmon_console import link
from jobmon_console.link import Link


def test_a_connection_goes_from_connecting_over_loading_to_live() -> None:
    connection = Link(0.0, lambda: 1.0)
    seen = [connection.state]

    connection.opening(0.0)
    connection.heard(1.0)
    seen.append(connection.state)
    connection.synced(2.0)
    seen.append(connection.state)

    assert seen == [link.CONNECTING, link.SYNCING, link.LIVE]


def test_two_missed_beats_make_a_connection_stale_and_a_word_makes_it_live_again() -> None:
    connection = _live()

    assert connection.check(link.STALE_AFTER - 0.1) == link.LIVE
    assert connection.check(link.STALE_AFTER) == link.STALE
    assert not connection.is_usable

    connection.heard(link.STALE_AFTER + 1)

    assert connection.check(link.STALE_AFTER + 1) == link.LIVE


def test_silence_ends_in_a_dead_connection() -> None:
    connection = _live()

    assert not connection.is_dead(link.DEAD_AFTER - 0.1)
    assert connection.is_dead(link.DEAD_AFTER)


def test_waits_double_to_the_longest_and_are_never_given_up() -> None:
    connection = Link(0.0, lambda: 1.0)
    waits = []
    for _ in range(40):
        connection.opening(0.0)
        connection.broke(0.0, "refused")
        waits.append(connection.wait(0.0))

    assert waits[:4] == [0.5, 1.0, 2.0, 4.0]
    assert set(waits[8:]) == {link.LONGEST_WAIT}


@given(st.floats(0.0, 1.0), st.integers(1, 200))
def test_chance_shortens_a_wait_by_half_at_most(chance: float, tries: int) -> None:
    connection = Link(0.0, lambda: chance)
    for _ in range(tries):
        connection.opening(0.0)
    connection.broke(0.0, "refused")

    whole = min(link.LONGEST_WAIT, link.FIRST_WAIT * 2.0 ** (tries - 1))
    assert whole / 2 <= (connection.wait(0.0) or 0.0) <= whole


def test_a_certificate_problem_waits_for_a_person() -> None:
    connection = Link(0.0, lambda: 1.0)

    connection.refused(1.0, "expired")

    assert connection.wait(1e9) is None
    connection.retry(2.0)
    assert connection.wait(2.0) == 0.0


def test_a_server_that_drops_at_once_does_not_start_the_count_over() -> None:
    connection = _live()
    connection.broke(1.0, "gone")
    connection.opening(1.5)
    connection.synced(1.5)
    connection.broke(1.6, "gone")

    assert connection.tries == 2

    connection.opening(2.0)
    connection.synced(2.0)
    connection.broke(2.0 + link.STEADY, "gone")

    assert connection.tries == 0


def _live() -> Link:
    connection = Link(0.0, lambda: 1.0)
    connection.opening(0.0)
    connection.synced(0.0)
    return connection


def test_a_word_of_the_server_elsewhere_makes_the_next_try_due_once_until_the_link_is_live() -> None:
    connection = Link(0.0, lambda: 1.0)
    assert not connection.hurry(0.0)  # a try is under way
    for _ in range(10):
        connection.opening(0.0)
        connection.broke(0.0, "gone")
    assert connection.wait(1.0) == link.LONGEST_WAIT - 1.0

    assert connection.hurry(1.0)
    assert connection.wait(1.0) == 0.0

    connection.opening(1.0)
    connection.broke(1.0, "gone")
    assert not connection.hurry(2.0)
    assert connection.wait(1.0) == link.LONGEST_WAIT

    connection.opening(31.0)
    connection.synced(31.0)
    connection.broke(32.0, "gone")
    assert connection.hurry(32.0)


def test_a_certificate_problem_is_not_hurried() -> None:
    connection = Link(0.0, lambda: 1.0)
    connection.refused(1.0, "expired")

    assert not connection.hurry(2.0)
    assert connection.wait(2.0) is None
