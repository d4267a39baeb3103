"""Whoever fails again and again is refused for a while, but no cluster for what one of its jobs does."""

import ipaddress

import pytest

from jobmon_server import sources
from jobmon_server.sources import MOST_PENALTY, PENALTY, REFUSED_ABOVE, TRUSTED, Sources

STRANGER = "192.0.2.7/32"
MOST_FAILURES = int(REFUSED_ABOVE / PENALTY)  # at once that are still let pass


class Moment:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Moment:
    """The clock of the sources."""
    return Moment()


@pytest.fixture
def known(clock: Moment) -> Sources:
    """Sources of which nothing is known yet."""
    return Sources((), clock)


def _fail(known: Sources, times: int, source: str = STRANGER) -> None:
    for _ in range(times):
        known.failed(source)


def test_one_source_is_one_address_or_the_half_of_an_ipv6_address_that_names_a_network(known: Sources) -> None:
    assert known.source("192.0.2.7") == STRANGER
    assert known.source("::ffff:192.0.2.7") == STRANGER
    assert known.source("2001:db8::1") == known.source("2001:db8::ffff:1") != known.source("2001:db8:0:1::1")
    assert known.source("fe80::1%eth0") == known.source("fe80::2%eth1")


def test_one_who_fails_again_and_again_is_refused_and_nobody_else(known: Sources) -> None:
    _fail(known, MOST_FAILURES)
    before = known.is_refused(STRANGER)
    _fail(known, 1)

    assert (before, known.is_refused(STRANGER), known.is_refused("192.0.2.8/32")) == (False, True, False)


def test_that_a_source_is_refused_from_now_on_is_told_once(known: Sources, clock: Moment) -> None:
    told = [known.failed(STRANGER) for _ in range(100)]
    clock.now += MOST_PENALTY
    again = [known.failed(STRANGER) for _ in range(100)]

    assert (sum(told), sum(again), told.index(True)) == (1, 1, MOST_FAILURES)


def test_a_penalty_is_served_in_half_a_minute_however_many_failures_there_were(known: Sources, clock: Moment) -> None:
    _fail(known, 10_000)
    clock.now += 29
    during = known.is_refused(STRANGER)
    clock.now += 2

    assert (during, known.is_refused(STRANGER)) == (True, False)


def test_one_who_fails_every_two_seconds_is_never_refused(known: Sources, clock: Moment) -> None:
    for _ in range(1000):
        known.failed(STRANGER)
        clock.now += 2.0

    assert not known.is_refused(STRANGER)


def test_where_somebody_succeeds_others_may_fail(known: Sources, clock: Moment) -> None:
    _fail(known, MOST_FAILURES)
    known.succeeded(STRANGER)
    clock.now += TRUSTED - 1
    _fail(known, 1000)
    trusted = known.is_refused(STRANGER)
    clock.now += 2
    _fail(known, 1000)

    assert (trusted, known.is_refused(STRANGER)) == (False, True)


@pytest.mark.parametrize("source", ["127.0.0.1/32", "::1/128", "::/64", "198.51.100.9/32", "2001:db8:0:7::/64"])
def test_gateways_and_this_machine_are_never_refused(known: Sources, source: str) -> None:
    known.nat = (ipaddress.ip_network("198.51.100.0/24"), ipaddress.ip_network("2001:db8:0:7::5/128"))

    _fail(known, 1000, source)

    assert known.is_unlimited(source)
    assert not known.is_refused(source)


def test_a_gateway_that_is_named_while_the_server_runs_counts_from_then_on(known: Sources) -> None:
    before = known.is_unlimited(STRANGER)
    known.nat = (ipaddress.ip_network(STRANGER),)
    meanwhile = known.is_unlimited(STRANGER)
    known.nat = ()

    assert (before, meanwhile, known.is_unlimited(STRANGER)) == (False, True, False)


def test_another_loopback_address_is_a_stranger(known: Sources) -> None:
    assert not known.is_unlimited("127.0.0.2/32")
    assert not known.is_unlimited(STRANGER)


def test_what_is_remembered_has_a_bound(known: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "REMEMBERED", 100)
    _fail(known, 1000, "192.0.2.1/32")
    for number in range(99):
        _fail(known, 1000, f"198.51.100.{number}/32")
        known.source(f"203.0.113.{number}")
    refused = known.is_refused("192.0.2.1/32")
    _fail(known, 1000, "198.51.100.200/32")

    assert (refused, known.is_refused("192.0.2.1/32"), known.is_refused("198.51.100.200/32")) == (True, False, True)
