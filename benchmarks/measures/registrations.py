"""Registrations: on a new connection each, and on one that stays open.

A server that has taken many for a while sends the others away; after each
repetition it has the time to forget them.

The first is limited by OpenSSL: the same handshakes, the server's end alone, in
memory in this process.  How near to that a server comes that reads nothing and
keeps nothing is measured beside it.  The second is limited by a protocol without
HTTP that answers as many bytes over the same TLS.
"""

import asyncio
import ssl
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

import uvloop

from benchmarks.measures.processes import NGINX, Least, answering, response, serving_by_nginx
from benchmarks.simulation.jobs import Plan
from benchmarks.simulation.passes import Pass, sign
from benchmarks.simulation.secure import Dress, Secure, Wardrobe
from benchmarks.simulation.throwaway import Throwaway
from benchmarks.table import Row, at_least
from jobmon_agent.tls import Address, read_address
from jobmon_server.admission import RATE
from jobmon_server.tls import TLSFiles, server_context
from jobmon_wire.documents import write_document

FULL = 400  # registrations of one repetition: about a second of the server's CPU
WARM = 500
AT_ONCE = 8  # connections under way; a server that waits for one client idles
HOST = "127.0.0.1"


class _Load(NamedTuple):
    """Agents that register."""

    wardrobe: Wardrobe
    address: Address  # of the server
    cards: Sequence[Pass]
    bodies: Sequence[bytes]

    def full(self, server: Throwaway | Least) -> float:
        """Registrations per core-second of a server, each on a connection of its own."""
        used = server.cpu()
        uvloop.run(self.register(self._of(server)))
        return FULL / (server.cpu() - used)

    def warm(self, server: Throwaway | Least) -> float:
        """The same on one connection."""
        used = server.cpu()
        uvloop.run(self._register_warm(self._of(server)))
        return WARM / (server.cpu() - used)

    async def register(self, address: Address) -> bytes:
        """Register each once on a connection of its own; the last answer's document."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(card: Pass, body: bytes) -> bytes:
            async with gate:
                secure = await _connect(self.wardrobe.dress(card.certificate, card.key), address)
                try:
                    return await secure.post("/v1/register", self.address.authority, body)
                finally:
                    secure.close()

        return (await asyncio.gather(*map(one, self.cards, self.bodies)))[-1]

    def _of(self, server: Throwaway | Least) -> Address:
        return self.address._replace(port=server.port) if isinstance(server, Least) else self.address

    async def _register_warm(self, address: Address) -> None:
        secure = await _connect(self.wardrobe.dress(self.cards[0].certificate, self.cards[0].key), address)
        for _ in range(WARM):
            await secure.post("/v1/register", self.address.authority, self.bodies[0])
        secure.close()


def rows(runs: int) -> list[Row]:
    """Registrations per core-second of the server, and of others in its place."""
    plan = Plan(("alice",), 1, time.time())
    full, shaken, warm, raw = list[float](), list[float](), list[float](), list[float]()
    least_full, by_nginx = list[float](), list[float]()
    with ExitStack() as stack:
        house = stack.enter_context(Throwaway(plan.owners, log="warning"))
        house.start()
        cards = sign(house.site, plan, range(FULL))
        address = read_address(house.site.agents_url)
        wardrobe = Wardrobe(house.site.server_ca_pem(), address.host)
        stack.callback(wardrobe.close)
        bodies = [write_document(plan.job(card.number).registration().document()) for card in cards]
        load = _Load(wardrobe, address, cards, bodies)
        answer = uvloop.run(load.register(address))  # the first time also writes to the store
        least = stack.enter_context(answering(house.site, response(answer), house.site.job_ca))
        nginx = stack.enter_context(serving_by_nginx(house.site, answer, house.directory)) if NGINX else None
        for _ in range(runs):
            full.append(load.full(house))
            least_full.append(load.full(least))
            by_nginx += [load.full(nginx)] if nginx else []
            shaken.append(FULL / _shake_in_memory(house, wardrobe, cards))
            time.sleep(FULL / RATE)
        for _ in range(runs):
            warm.append(load.warm(house))
            raw.append(load.warm(least))
            time.sleep(WARM / RATE)
    return [
        Row("registration, full handshake", full, "/core-s", at_least(400, 0.60), shaken),
        Row("the same connections, a fixed answer: uvloop", least_full, "/core-s", limits=shaken),
        *([Row("the same, nginx", by_nginx, "/core-s", limits=shaken)] if by_nginx else []),
        Row("registration, warm connection", warm, "/core-s", at_least(4500), raw),
    ]


async def _connect(dress: Dress, address: Address) -> Secure:
    loop = asyncio.get_running_loop()
    _, secure = await loop.create_connection(lambda: Secure(dress), HOST, address.port)
    await secure.shake_hands()
    return secure


def _shake_in_memory(house: Throwaway, wardrobe: Wardrobe, cards: Sequence[Pass]) -> float:
    """Seconds of CPU of the server's end of as many handshakes."""
    files = TLSFiles(house.site.server_certificate, house.site.server_key, house.site.job_ca)
    context = server_context(files)
    spent = 0.0
    for card in cards:
        dress = wardrobe.dress(card.certificate, card.key)
        began = time.thread_time()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        spent += time.thread_time() - began
        is_done = False
        while not is_done:
            _step(dress.tls)
            incoming.write(dress.outgoing.read())
            began = time.thread_time()
            is_done = _step(tls)
            spent += time.thread_time() - began
            dress.incoming.write(outgoing.read())
    return spent


def _step(tls: ssl.SSLObject) -> bool:
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
