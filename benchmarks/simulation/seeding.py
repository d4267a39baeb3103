"""Jobs that the server knows when it starts, as from an earlier run.

Their agents are registered by the server's own code within this program, on
the site's own store and ledger, without TLS and HTTP; then that server goes
down.  The agents go on beating, as after a restart.  Their certificates are
real: who is rung registers as any other.
"""

import asyncio
from collections.abc import Sequence

from benchmarks.simulation.jobs import Plan
from benchmarks.simulation.passes import Pass
from jobmon_pki.site import Site
from jobmon_server.configuration import read_configuration
from jobmon_server.peer import peer_of
from jobmon_server.ports import bind_datagrams
from jobmon_server.state import State
from jobmon_wire.records import Beats as Told

AT_ONCE = 1000  # registrations that wait for one writing to the store
PACE = 150.0  # registrations a second, by the clock of that run: no server admits more in the long run
SOURCE = "127.0.0.1:0"  # where they seem to come from


def seed(site: Site, plan: Plan, cards: Sequence[Pass]) -> dict[int, Told]:
    """Have the site's server, which is down, know the jobs; the sessions of their agents by index.

    Raises:
        ServerError, PkiError: the site's files cannot be used, or its ports are taken.
    """
    if not cards:
        return {}
    with asyncio.Runner(loop_factory=_QuickLoop) as runner:
        return runner.run(_register(site, plan, cards))


class _QuickLoop(asyncio.SelectorEventLoop):
    """A loop whose time can be put forward."""

    ahead = 0.0  # s

    def time(self) -> float:
        """Seconds, steady."""
        return super().time() + self.ahead


async def _register(site: Site, plan: Plan, cards: Sequence[Pass]) -> dict[int, Told]:
    configuration = read_configuration(site.config_path)
    sock = bind_datagrams(configuration.agents)
    state = State.open(configuration, site)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _QuickLoop)
    state.beats.listen(sock)

    async def register(card: Pass) -> Told:
        said = plan.job(card.number).registration()
        answer = await state.sessions.register(peer_of(card.identity, SOURCE), said)
        assert answer.beats is not None, "the site's server takes no datagrams"
        return answer.beats

    told: dict[int, Told] = {}
    for start in range(0, len(cards), AT_ONCE):
        some = cards[start : start + AT_ONCE]
        loop.ahead += len(some) / PACE
        answers = await asyncio.gather(*map(register, some))
        told |= zip((card.number for card in some), answers, strict=True)
    await state.stop()
    return told
