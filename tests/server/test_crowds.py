"""Who keeps the server waiting makes room for others; who waits for the server comes in, by source in turn."""

import random
import socket
from typing import cast

import pytest

from jobmon_server.crowds import Arrival, Crowd, Crowds, Limits, Stage

LIMITS = Limits()
NO_SOCKET = cast(socket.socket, None)  # nothing here touches it


@pytest.fixture
def crowds() -> Crowds:
    """Nobody is there yet; the dice are the same in each run."""
    return Crowds(LIMITS, random.Random(7))


def _come(crowds: Crowds, source: str, stage: Stage, *, is_unlimited: bool = False) -> Arrival:
    crowd = crowds.get(source) or Crowd(source, is_unlimited=is_unlimited)
    arrival = Arrival(NO_SOCKET, crowd, ("192.0.2.1", 1024))
    crowds.put(arrival, stage)
    return arrival


def _come_and_make_room(crowds: Crowds, source: str, stage: Stage, *, is_unlimited: bool = False) -> Arrival | None:
    """The one that has to go because of it; the others stay."""
    victim = crowds.victim(_come(crowds, source, stage, is_unlimited=is_unlimited))
    if victim is not None:
        crowds.remove(victim)
    return victim


def _begin(crowds: Crowds) -> str | None:
    """Begin the next handshake; the source that it is with."""
    arrival = crowds.next()
    if arrival is None:
        return None
    crowds.put(arrival, Stage.SHAKING)
    return arrival.crowd.source


def test_one_source_has_only_so_many_that_keep_us_waiting(crowds: Crowds) -> None:
    for _ in range(1000):
        _come_and_make_room(crowds, "scanner", Stage.SILENT)

    assert crowds.number[Stage.SILENT] == LIMITS.of_source


def test_all_together_there_are_at_most_so_many(crowds: Crowds) -> None:
    most = 0
    for number in range(3000):
        _come_and_make_room(crowds, f"scanner {number % 500}", Stage.SILENT)
        most = max(most, crowds.owing)

    assert LIMITS.crowded < most <= LIMITS.owing


def test_one_that_is_late_can_lose_its_place_after_another_of_its_source_is_in(crowds: Crowds) -> None:
    late, shaking = (_come(crowds, "gateway", stage, is_unlimited=True) for stage in (Stage.LATE, Stage.SHAKING))
    crowds.remove(shaking)
    for number in range(LIMITS.owing):
        newcomer = _come(crowds, f"cluster {number}", Stage.SHAKING)

    assert crowds.victim(newcomer) is late


def test_a_gateway_has_no_limit_of_its_own_but_that_for_all(crowds: Crowds) -> None:
    for _ in range(1000):
        _come_and_make_room(crowds, "gateway", Stage.SILENT, is_unlimited=True)

    assert LIMITS.of_source < crowds.number[Stage.SILENT] <= LIMITS.owing


def test_the_fuller_it_is_the_likelier_a_newcomer_costs_a_place(crowds: Crowds) -> None:
    def share(number: int) -> float:
        for each in range(number - crowds.owing):
            _come(crowds, f"{number} {each}", Stage.SILENT)
        newcomer = crowds.everybody()[0]
        return sum(crowds.victim(newcomer) is not None for _ in range(2000)) / 2000

    assert share(LIMITS.crowded - 1) == 0.0
    assert share(LIMITS.crowded) == pytest.approx(0.3, abs=0.05)
    assert share((LIMITS.crowded + LIMITS.owing) // 2) == pytest.approx(0.65, abs=0.05)
    assert share(LIMITS.owing) == 1.0


def test_who_has_to_go_is_of_the_source_that_has_most_and_any_of_them(crowds: Crowds) -> None:
    for number in range(LIMITS.owing):
        _come(crowds, "few" if number < 10 else "many", Stage.SILENT, is_unlimited=True)
    newcomer = _come(crowds, "new", Stage.SILENT)

    victims = {crowds.victim(newcomer) for _ in range(3000)}

    assert {victim.crowd.source for victim in victims if victim} == {"many"}
    assert len(victims) == LIMITS.owing - 10


def test_a_genuine_newcomer_stays_however_many_one_scanner_has(crowds: Crowds) -> None:
    for _ in range(LIMITS.owing):
        _come(crowds, "scanner", Stage.LATE)
    genuine = [_come(crowds, "genuine", Stage.SILENT) for _ in range(5)]
    for _ in range(1000):
        _come_and_make_room(crowds, "scanner", Stage.SILENT)

    assert all(arrival.stage is Stage.SILENT for arrival in genuine)


def test_who_has_left_or_gone_on_is_no_candidate(crowds: Crowds) -> None:
    there = [_come(crowds, f"{number}", Stage.SILENT) for number in range(LIMITS.owing + 20)]
    for number, arrival in enumerate(there[:40]):
        if number % 2:
            crowds.remove(arrival)
        else:
            crowds.put(arrival, Stage.SHAKING)

    victims = {crowds.victim(there[-1]) for _ in range(3000)}

    assert victims == set(there[40:])


def test_who_has_just_begun_the_handshake_never_has_to_go(crowds: Crowds) -> None:
    shaking = [_come(crowds, "a", Stage.SHAKING) for _ in range(LIMITS.owing)]

    assert [crowds.victim(arrival) for arrival in shaking] == [None] * LIMITS.owing


def test_those_that_wait_for_us_lose_nothing_by_being_many(crowds: Crowds) -> None:
    """A cluster behind one address: three thousand come at once, and each is begun with."""
    for _ in range(3000):
        _come(crowds, "cluster", Stage.READY)
        assert crowds.surplus() is None
    begun = 0
    while crowds.number[Stage.READY]:
        while _begin(crowds):
            begun += 1
        done = [arrival for arrival in crowds.everybody() if arrival.stage is Stage.SHAKING]
        assert len(done) <= LIMITS.of_source
        for arrival in done:
            crowds.remove(arrival)

    assert begun == 3000
    assert len(crowds) == 0


def test_one_that_comes_behind_three_thousand_of_another_source_is_next_but_one(crowds: Crowds) -> None:
    for _ in range(3000):
        _come(crowds, "cluster", Stage.READY)
    _come(crowds, "small", Stage.READY)

    assert "small" in [_begin(crowds), _begin(crowds)]


def test_a_source_whose_handshakes_do_not_go_on_holds_up_itself_alone(crowds: Crowds) -> None:
    for _ in range(1000):
        _come(crowds, "stuck", Stage.READY)
    while _begin(crowds):
        pass
    _come(crowds, "other", Stage.READY)

    assert _begin(crowds) == "other"
    assert _begin(crowds) is None


def test_a_handshake_that_is_late_holds_up_nobody_any_more(crowds: Crowds) -> None:
    for _ in range(100):
        _come(crowds, "slow", Stage.READY)
    while _begin(crowds):
        pass
    late = next(arrival for arrival in crowds.everybody() if arrival.stage is Stage.SHAKING)
    crowds.put(late, Stage.LATE)

    assert [_begin(crowds), _begin(crowds)] == ["slow", None]


def test_together_there_are_only_so_many_handshakes_under_way(crowds: Crowds) -> None:
    for number in range(1000):
        _come(crowds, f"{number}", Stage.READY)
    while _begin(crowds):
        pass

    assert crowds.number[Stage.SHAKING] == LIMITS.handshakes


def test_what_is_too_much_to_wait_is_the_last_of_the_source_that_has_most() -> None:
    crowds = Crowds(Limits(ready=10))
    few = [_come(crowds, "few", Stage.READY) for _ in range(3)]
    many = [_come(crowds, "many", Stage.READY) for _ in range(7)]
    none = crowds.surplus()
    few.append(_come(crowds, "few", Stage.READY))

    assert (none, crowds.surplus()) == (None, many[-1])


def test_the_numbers_agree_with_who_is_there_after_a_thousand_moves(crowds: Crowds) -> None:
    chance = random.Random(3)
    there = [_come(crowds, f"{number % 7}", Stage.SILENT) for number in range(50)]
    for _ in range(1000):
        arrival = chance.choice(there)
        if chance.random() < 0.2:
            crowds.remove(arrival)
        else:
            crowds.put(arrival, chance.choice(list(Stage)))
        standing = [each for each in there if each.stage is not None]
        assert set(crowds.everybody()) == set(standing)
        assert crowds.number == {stage: sum(each.stage is stage for each in standing) for stage in Stage}
