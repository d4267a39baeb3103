"""Beats: how many the server takes, with and without its answers, and whether it loses any at 40,000 a second.

The beats are sealed before they are sent and each is genuine: its own session,
counter and echo.  To send an answer costs more than all else, so there are two
rows.  In the first a beat counts when it was received, verified and taken in:
window, address, last seen, vitals and health.  In the second, of the whole
server, when its ACK has come back.  The limits are loops that receive as many
datagrams and look at none; the second answers each.
"""

import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import cycle, islice

from benchmarks.measures.people import Watcher, quantile
from benchmarks.measures.processes import draining, hearing
from benchmarks.simulation.beats import BUFFER, node_address
from benchmarks.simulation.jobs import Plan
from benchmarks.simulation.passes import sign
from benchmarks.simulation.seeding import seed
from benchmarks.simulation.throwaway import Throwaway
from benchmarks.table import Row, Target, at_least, at_most
from jobmon_agent.tls import read_address
from jobmon_wire import datagrams
from jobmon_wire.datagrams import ACK, BEAT, Ends

SESSIONS = 20_000  # a session is heard with five datagrams a second, and 40,000 a second are wanted
VOLLEY = 20_000  # beats of one repetition
IN_FLIGHT = 2000  # unanswered beats: the server's buffer holds 5,000
GATEWAYS = 8  # addresses that they come from: a server may bound what it hears from one
PACE = 40_000.0  # beats a second
SUSTAINED = 5.0  # s of that
LATE = 1.0  # s that the last answers may take
TICK = 0.001  # s; what is due within it goes together
POURED = 20_000.0  # beats a second where no answer tells that there is room for more
PAUSE = VOLLEY / SESSIONS / 5  # s between two volleys, so that no session is above its rate
IDLE = 2.0  # s of users' questions before the beats


Beat = tuple[socket.socket, bytes]  # and the way it goes


class Sender:
    """All sessions, behind a few sockets: as agents are behind gateways that translate addresses."""

    def __init__(self, house: Throwaway, sessions: int) -> None:
        plan = Plan(("alice",), 1, time.time())
        cards = sign(house.site, plan, range(sessions), 2)
        port = read_address(house.site.agents_url).port
        told = seed(house.site, plan, cards)
        self.socks = [_gateway(number, port) for number in range(GATEWAYS)]
        self._ends: dict[bytes, tuple[socket.socket, Ends]] = {}
        self._echoes: dict[bytes, bytes] = {}
        for card in cards:
            session = told[card.number]
            up, down = datagrams.derive_keys(session.secret, session.session, bytes.fromhex(card.identity.fingerprint))
            ends = Ends(session.session, up, down, heard=session.counter)
            self._ends[session.session] = (self.socks[card.number % GATEWAYS], ends)
        self._vitals = datagrams.write_vitals(plan.job(0).vitals(time.time()))

    def meet(self) -> None:
        """Learn every session's challenge."""
        zero = bytes(datagrams.CHALLENGE_BYTES)
        for session, answer in _answers(self, [self._beat(session, zero) for session in self._ends]):
            opened = self._ends[session][1].open(answer, (ACK,))
            assert opened is not None
            self._echoes[session] = datagrams.read_ack(opened[1])[1]

    def sealed(self, count: int) -> list[Beat]:
        """So many beats, of all sessions in turn."""
        turns = islice(cycle(self._echoes.items()), count)
        return [self._beat(session, echo) for session, echo in turns]

    def close(self) -> None:
        """Let go of the sockets."""
        for sock in self.socks:
            sock.close()

    def received(self, patience: float) -> list[bytes]:
        """The answers that have come; none, if none comes within so many seconds."""
        ready, _, _ = select.select(self.socks, [], [], patience)
        return [answer for sock in ready for answer in _received(sock)]

    def _beat(self, session: bytes, echo: bytes) -> Beat:
        sock, ends = self._ends[session]
        return sock, ends.seal(BEAT, datagrams.write_beat(0, echo, self._vitals))


def _gateway(number: int, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    sock.bind((node_address(number), 0))
    sock.connect(("127.0.0.1", port))
    sock.setblocking(False)
    return sock


def rows(runs: int) -> Iterator[Row]:
    """Beats per core-second, and how 40,000 a second are borne."""
    with Throwaway(("alice",), log="warning") as house:
        sender = Sender(house, SESSIONS)
        yield _taken_in(house, sender, runs)
        echoed = _echoed(house, sender, runs)
        house.start()
        sender.meet()
        yield _answered(house, sender, runs)._replace(limits=echoed)
        yield from _sustained(house, sender)
        sender.close()


def _taken_in(house: Throwaway, sender: Sender, runs: int) -> Row:
    ours, plain = [], []
    with hearing(house.site) as ear:
        sender.meet()
        ear.hush()
        for _ in range(runs):
            time.sleep(PAUSE)
            beats = sender.sealed(VOLLEY)
            used, taken = ear.least.cpu(), ear.taken
            _pour(beats)
            time.sleep(LATE)
            ours.append((ear.taken - taken) / (ear.least.cpu() - used))
    with draining(read_address(house.site.agents_url).port) as least:
        for _ in range(runs):
            used = least.cpu()
            _pour(beats)
            plain.append(VOLLEY / (least.cpu() - used))
    return Row("beats received, verified and taken in", ours, "/core-s", at_least(150_000), plain)


def _answered(house: Throwaway, sender: Sender, runs: int) -> Row:
    rates: list[float] = []
    for _ in range(runs):
        time.sleep(PAUSE)
        rates.append(_rate(sender, sender.sealed(VOLLEY), house.cpu))
    return Row("beats taken in and answered", rates, "/core-s", at_least(150_000))


def _echoed(house: Throwaway, sender: Sender, runs: int) -> list[float]:
    with draining(read_address(house.site.agents_url).port, is_answering=True) as least:
        beats = sender.sealed(VOLLEY)
        return [_rate(sender, beats, least.cpu) for _ in range(runs)]


def _rate(sender: Sender, beats: Sequence[Beat], cpu: Callable[[], float]) -> float:
    """Answers for each second of CPU."""
    used = cpu()
    answered = sum(1 for _ in _answers(sender, beats))
    return answered / (cpu() - used)


def _pour(beats: Sequence[Beat]) -> None:
    for start in range(0, len(beats), IN_FLIGHT):
        for sock, beat in beats[start : start + IN_FLIGHT]:
            with suppress(ConnectionRefusedError):  # of an earlier one, when nobody listened
                sock.send(beat)
        time.sleep(IN_FLIGHT / POURED)  # so that none is lost: it is the receiver that is measured


def _answers(sender: Sender, beats: Sequence[Beat]) -> Iterator[tuple[bytes, bytes]]:
    """Send all, never more unanswered than the server's buffer holds; sessions and answers as they come."""
    sent = taken = 0
    while taken < len(beats):
        while sent < len(beats) and sent - taken < IN_FLIGHT:
            sock, beat = beats[sent]
            sock.send(beat)
            sent += 1
        answers = sender.received(LATE)
        if not answers:
            return
        taken += len(answers)
        yield from ((answer[4:12], answer) for answer in answers)


def _received(sock: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            yield sock.recv(datagrams.LONGEST + 1)
        except BlockingIOError:
            return


def _sustained(house: Throwaway, sender: Sender) -> Iterator[Row]:
    beats = sender.sealed(int(PACE * SUSTAINED))
    watcher = Watcher(house.context("alice"))
    try:
        time.sleep(IDLE)
        before = watcher.take()
        used = house.cpu()
        answered, seconds = _paced(sender, beats)
        used = house.cpu() - used
        during = watcher.take()
    finally:
        watcher.stop()
    lost = 100.0 * (1 - answered / len(beats))
    pace = f"sent {len(beats) / seconds:,.0f}/s, the server used {100 * used / seconds:.0f} % of a core"
    yield Row("beats lost at 40,000 a second", [lost], "%", at_most(0.0), note=pace)
    p50 = Row("users' p50 meanwhile", [quantile(during, 0.5)], "ms", Target(2.0, share=1.5), [quantile(before, 0.5)])
    yield p50._replace(note=f"p99 {quantile(during, 0.99):.1f}, before {quantile(before, 0.99):.1f}")


def _paced(sender: Sender, beats: Sequence[Beat]) -> tuple[int, float]:
    """Send at the pace, whatever comes back; answers, and the seconds that the sending took."""
    began = time.monotonic()
    sent = answered = 0
    while sent < len(beats):
        due = min(len(beats), int((time.monotonic() - began) * PACE))
        for sock, beat in beats[sent:due]:
            sock.send(beat)
        sent = due
        answered += len(sender.received(TICK))
    seconds = time.monotonic() - began
    while answers := sender.received(LATE):
        answered += len(answers)
    return answered, seconds
