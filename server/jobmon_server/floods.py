"""Sources: how much work datagrams from one address may cause.

Only what names a session that exists is counted, since all else costs next to
nothing.  A whole cluster may stand behind one address, so the bound is far
above what a cluster sends and far below what a processor can do: it keeps one
sender of forged datagrams from the others, no more.  Anybody can write anybody
else's address on a datagram, so it is no punishment that lasts.
"""

from __future__ import annotations

from typing import Any

# A second, from one source: 100,000 jobs behind one gateway beat 4,000 times; this many cost a tenth of a core.
RATE = 20_000
TRACKED = 65_536  # sources; those beyond are let through, or a flood of invented ones would shut out the rest


class Sources:
    """What came from where in the current second."""

    def __init__(self) -> None:
        self._second = 0
        self._counts: dict[str, int] = {}

    def admits(self, address: tuple[Any, ...], now: float) -> bool:
        """Whether one more datagram from there is looked at.

        Args:
            address: as the socket names it.
            now: s, by a steady clock.
        """
        if int(now) != self._second:
            self._second = int(now)
            self._counts = {}
        source = address[0] if len(address) == 2 else _network(address[0])
        count = self._counts.get(source, 0)
        if count >= RATE:
            return False
        if count or len(self._counts) < TRACKED:
            self._counts[source] = count + 1
        return True


def _network(host: str) -> str:
    """The first 64 bits of an IPv6 address, which one site has; an IPv4 address in IPv6's clothes stays whole.

    As text: the kernel writes each address in one way, which is all that counting needs.
    """
    if "." in host:
        return host
    head, gap, tail = host.partition("::")
    groups = head.split(":") if head else []
    if gap and len(groups) < 4:
        behind = tail.split(":") if tail else []
        groups += ["0"] * max(0, 8 - len(groups) - len(behind)) + behind
    return ":".join(groups[:4])
