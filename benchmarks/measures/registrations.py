"""Registrations: on a new connection each, and on one that stays open.

A server that has taken many for a while sends the others away; after each
repetition it has the time to forget them.

The first is limited by OpenSSL: the same handshakes, the server's end alone, in
memory in this process.  The second by a protocol without HTTP that answers as
many bytes over the same TLS.
"""

import asyncio
import ssl
import time
from collections.abc import Sequence

import uvloop

from benchmarks.measures.processes import answering, response
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


def rows(runs: int) -> list[Row]:
    """Both figures, registrations per core-second of the server."""
    plan = Plan(("alice",), 1, time.time())
    with Throwaway(plan.owners, log="warning") as house:
        house.start()
        cards = sign(house.site, plan, range(FULL))
        address = read_address(house.site.agents_url)
        wardrobe = Wardrobe(house.site.server_ca_pem(), address.host)
        bodies = [write_document(plan.job(card.number).registration().document()) for card in cards]
        answer = uvloop.run(_register_all(wardrobe, address, cards, bodies))  # the first time also writes to the store
        full, shaken = [], []
        for _ in range(runs):
            used = house.cpu()
            uvloop.run(_register_all(wardrobe, address, cards, bodies))
            full.append(FULL / (house.cpu() - used))
            shaken.append(FULL / _shake_in_memory(house, wardrobe, cards))
            time.sleep(FULL / RATE)
        warm, raw = [], []
        with answering(house.site, answer, house.site.job_ca) as least:
            for _ in range(runs):
                used = house.cpu()
                uvloop.run(_register_warm(wardrobe, address, cards[0], bodies[0]))
                warm.append(WARM / (house.cpu() - used))
                used = least.cpu()
                uvloop.run(_register_warm(wardrobe, address._replace(port=least.port), cards[0], bodies[0]))
                raw.append(WARM / (least.cpu() - used))
                time.sleep(WARM / RATE)
        wardrobe.close()
    return [
        Row("registration, full handshake", full, "/core-s", at_least(400, 0.60), shaken),
        Row("registration, warm connection", warm, "/core-s", at_least(4500), raw),
    ]


async def _register_all(wardrobe: Wardrobe, address: Address, cards: Sequence[Pass], bodies: Sequence[bytes]) -> bytes:
    """Register each on a connection of its own; the last whole answer, as it came."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(card: Pass, body: bytes) -> bytes:
        async with gate:
            secure = await _connect(wardrobe.dress(card.certificate, card.key), address)
            try:
                return await secure.post("/v1/register", address.authority, body)
            finally:
                secure.close()

    answers = await asyncio.gather(*(one(card, body) for card, body in zip(cards, bodies, strict=True)))
    return response(answers[-1])


async def _register_warm(wardrobe: Wardrobe, address: Address, card: Pass, body: bytes) -> None:
    secure = await _connect(wardrobe.dress(card.certificate, card.key), address)
    for _ in range(WARM):
        await secure.post("/v1/register", address.authority, body)
    secure.close()


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
