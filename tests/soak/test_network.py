"""The network's promises at their full size: a thousand wake-ups through loss, and every wait at the defaults."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobmon_console.errors import JobMonError
from jobmon_console.following import passes
from jobmon_wire.limits import BEAT_INTERVAL, PING_INTERVAL
from tests.end_to_end.sites import Job
from tests.network.conftest import FarSite, lab, settings  # noqa: F401 - lab is a fixture
from tests.network.lab import Lab
from tests.network.test_gateway import cut_a_follow, ring, start
from tests.network.test_loss import LOSSES, assert_in_time, ring_through

RINGS = 1000
REAL = 5  # agents with all that is theirs: TLS, too, through the loss
ONE_BEAT = BEAT_INTERVAL * 1.1 + 1.0  # s; with the round trip, and a worker to start
MINUTE = 60.0  # s


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarSite]:  # noqa: F811
    """A site outside with the default beats; channels are closed soon, so that each test begins without one."""
    made = FarSite("far", tmp_path_factory.mktemp("network") / "far", lab)
    try:
        made.reload(settings(BEAT_INTERVAL, PING_INTERVAL))
        yield made
    finally:
        made.stop()


@pytest.mark.parametrize("loss", LOSSES)
async def test_a_thousand_agents_are_rung_in_time_although_datagrams_are_lost(lab: Lab, loss: float) -> None:  # noqa: F811
    took = await ring_through(lab, lambda: lab.lose(loss), RINGS)

    quantiles = ", ".join(f"{share:.0%} {took[int(share * RINGS) - 1]:.2f} s" for share in (0.5, 0.9, 0.95, 0.99, 1.0))
    print(f"\n{RINGS} wake-ups, {loss:.0%} lost either way: {quantiles}")
    assert_in_time(took, loss)


def test_where_half_is_lost_every_request_is_answered_or_refused_in_words_and_answered_in_the_end(
    site: FarSite,
    lab: Lab,  # noqa: F811
) -> None:
    jobs = [start(site) for _ in range(REAL)]
    refused: Counter[str] = Counter()

    def ask(job: Job) -> float:
        began = time.monotonic()
        while True:
            try:
                site.ask(job, "ps")
                return time.monotonic() - began
            except JobMonError as error:
                refused[getattr(error, "code", repr(error))] += 1
                if not passes(error) or time.monotonic() - began > 10 * MINUTE:
                    raise

    lab.lose(0.5)
    try:
        with ThreadPoolExecutor(REAL) as pool:
            took = sorted(pool.map(ask, jobs))
    finally:
        lab.settle()

    print("\nanswered after", *(f"{seconds:.1f}" for seconds in took), "s; refused before:", dict(refused))


def test_where_the_gateway_has_taken_another_port_an_agent_is_back_within_a_beat(site: FarSite, lab: Lab) -> None:  # noqa: F811
    job = start(site)
    lab.forget("30000-30999")

    took = ring(site, job)()

    print(f"\nreachable again after {took:.1f} s")
    assert took <= ONE_BEAT


def test_where_no_datagram_passes_the_first_command_is_answered_within_a_minute(site: FarSite, lab: Lab) -> None:  # noqa: F811
    job = start(site)
    lab.weather("meta l4proto udp drop")
    try:
        first, *later = (ring(site, job)() for _ in range(5))
    finally:
        lab.settle()

    print(f"\nfirst command {first:.1f} s, later ones {', '.join(f'{seconds:.2f} s' for seconds in later)}")
    assert first <= MINUTE
    assert min(later) <= 1.0


def test_a_connection_that_died_in_silence_is_given_up_within_a_minute(site: FarSite, lab: Lab) -> None:  # noqa: F811
    took = cut_a_follow(site, lab, MINUTE)

    print(f"\nboth ends clean after {took:.1f} s")
    assert took <= MINUTE
