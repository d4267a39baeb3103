"""One address may cause as much work as a whole cluster behind a gateway does, and no more."""

from jobmon_server.floods import RATE, TRACKED, Sources

CLUSTER = 4000  # datagrams a second: 100,000 jobs that beat every 25 s


def admitted(sources: Sources, host: str, number: int, now: float = 0.5) -> int:
    return sum(sources.admits((host, port % 65536), now) for port in range(number))


def test_a_cluster_behind_one_address_is_heard_whole_when_each_datagram_is_sent_four_times() -> None:
    assert admitted(Sources(), "192.0.2.1", 4 * CLUSTER) == 4 * CLUSTER


def test_a_flood_from_one_address_is_bounded_and_nobody_else_pays_for_it() -> None:
    sources = Sources()

    assert admitted(sources, "192.0.2.1", 3 * RATE) == RATE
    assert admitted(sources, "192.0.2.2", CLUSTER) == CLUSTER
    assert admitted(sources, "192.0.2.1", CLUSTER, now=1.5) == CLUSTER  # the next second


def test_addresses_of_one_ipv6_network_are_one_source() -> None:
    sources = Sources()
    hosts = ["2001:db8:0:1::7", "2001:db8:0:1:aaaa:bbbb:cccc:dddd"]

    taken = sum(sources.admits((hosts[at % 2], 1, 0, 0), 0.5) for at in range(2 * RATE))

    assert taken == RATE
    assert sources.admits(("2001:db8:0:2::7", 1, 0, 0), 0.5)


def test_short_forms_of_ipv6_addresses_are_told_apart_by_their_network() -> None:
    for host in ("::1", "fe80::1", "2001:db8::5", "1::"):
        sources = Sources()
        assert sum(sources.admits((host, 1, 0, 0), 0.5) for _ in range(RATE + 5)) == RATE
        assert sources.admits(("2001:db8:0:9::1", 1, 0, 0), 0.5)


def test_ipv4_addresses_on_a_socket_for_both_are_told_apart() -> None:
    sources = Sources()

    assert sum(sources.admits(("::ffff:192.0.2.1", 1, 0, 0), 0.5) for _ in range(RATE + 5)) == RATE
    assert sources.admits(("::ffff:192.0.2.2", 1, 0, 0), 0.5)


def test_invented_addresses_fill_no_memory_and_shut_nobody_out() -> None:
    sources = Sources()
    for number in range(TRACKED + 1000):
        assert sources.admits((f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1), 0.5)

    assert len(sources._counts) == TRACKED
    assert sources.admits(("192.0.2.1", 1), 0.5)
