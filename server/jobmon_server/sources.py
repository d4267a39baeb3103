"""Sources: where connections come from, and how those that came before from there have fared.

A source is an address; of IPv6 the /64, which is what one machine can have for
the asking.  One source may be a whole cluster behind a gateway, so it is never
refused for what some fail at while others succeed: a handshake that ends well
makes its source trusted for a while.  Nothing here knows of sockets or TLS.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What is forwarded by a tunnel or a proxy on this machine comes from here, for any number of people.
OWN_MACHINE = (ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("::1/128"))
IPV6_SOURCE = 64  # bits
MAPPED = "::ffff:"  # an IPv4 peer of a socket that listens on both

PENALTY = 2.0  # s for each handshake that came to nothing; a person who tries every two seconds is never refused
REFUSED_ABOVE = 30.0  # s of penalties together: sixteen failures in a row
MOST_PENALTY = 60.0  # s; who is refused may try again half a minute later
TRUSTED = 600.0  # s after a success; agents behind a gateway succeed more often than that
REMEMBERED = 65_536  # sources, about 10 MiB; whoever has been quiet for longest is forgotten first


class Sources:
    """What is known of the sources of one server's connections.

    Args:
        nat: networks of gateways, behind which many agents or people sit: no limits hold for them.
        clock: s, monotonic.
    """

    def __init__(self, nat: Sequence[Network], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._penalties: dict[str, float] = {}  # source: when it has been served
        self._trusted: dict[str, float] = {}  # source: until when
        self._keys: dict[str, str] = {}  # host: its source, as reading an address takes 3 us
        self._unlimited: dict[str, bool] = {}  # by source, as comparing it with networks takes 10 us
        self.nat = nat

    @property
    def nat(self) -> Sequence[Network]:
        """The networks of gateways; may be exchanged while the server runs."""
        return self._nat

    @nat.setter
    def nat(self, networks: Sequence[Network]) -> None:
        self._nat = networks
        self._unlimited.clear()

    def source(self, host: str) -> str:
        """The source of a numeric address."""
        found = self._keys.get(host)
        if found is None:
            if len(self._keys) >= REMEMBERED:
                self._keys.clear()
            found = self._keys[host] = _source(host)
        return found

    def is_unlimited(self, source: str) -> bool:
        """The operator has said that many sit there, or it is this machine."""
        found = self._unlimited.get(source)
        if found is None:
            if len(self._unlimited) >= REMEMBERED:
                self._unlimited.clear()
            found = self._unlimited[source] = _lies_in(source, (*OWN_MACHINE, *self._nat))
        return found

    def is_refused(self, source: str) -> bool:
        """Its handshakes have come to nothing so often that none is begun with it for now."""
        return self._penalties.get(source, 0.0) - self._clock() > REFUSED_ABOVE

    def failed(self, source: str) -> bool:
        """A handshake with it has come to nothing; true where it is refused because of this one."""
        now = self._clock()
        if self._trusted.get(source, 0.0) > now or self.is_unlimited(source):
            return False
        was_refused = self.is_refused(source)
        served = max(self._penalties.pop(source, 0.0), now) + PENALTY
        _remember(self._penalties, source, min(served, now + MOST_PENALTY))
        return not was_refused and self.is_refused(source)

    def succeeded(self, source: str) -> None:
        """Somebody there has shown a certificate that is good here."""
        self._penalties.pop(source, None)
        self._trusted.pop(source, None)
        _remember(self._trusted, source, self._clock() + TRUSTED)


def _lies_in(source: str, networks: Sequence[Network]) -> bool:
    network = ipaddress.ip_network(source)
    # A part of a /64 means all of it: they cannot be told apart.
    return any(network.version == other.version and network.overlaps(other) for other in networks)


def _source(host: str) -> str:
    address = ipaddress.ip_address(host.removeprefix(MAPPED).partition("%")[0])
    bits = IPV6_SOURCE if address.version == 6 else address.max_prefixlen
    return str(ipaddress.ip_network((address, bits), strict=False))


def _remember(table: dict[str, float], source: str, moment: float) -> None:
    if len(table) >= REMEMBERED:
        del table[next(iter(table))]
    table[source] = moment
