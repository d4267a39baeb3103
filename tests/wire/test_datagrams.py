"""A datagram is taken once, by the end it was meant for; anything else is nothing."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_wire import datagrams
from jobmon_wire.datagrams import ACK, BEAT, BYE, LONGEST, WAKE, WINDOW, Ends, Window
from jobmon_wire.records import Vitals
from tests.pythons import PYTHONS

AGENT = Path(__file__).parent.parent.parent / "agent"
GOLDEN = sorted((Path(__file__).parent.parent / "frames" / "datagrams").glob("*.json"))
ALL = (BEAT, ACK, WAKE, BYE)

# Reads and writes every golden datagram, under any Python.
SCRIPT = """
import binascii, json, sys
sys.path.insert(0, sys.argv[1])
from jobmon_wire import datagrams as d
class Vitals: pass
for path in sys.argv[2:]:
    with open(path) as file:
        golden = json.load(file)
    secret, session, fingerprint, wire = [
        binascii.unhexlify(golden[name]) for name in ("secret", "session", "fingerprint", "bytes")]
    fields, kind = golden["fields"], getattr(d, golden["type"])
    up, down = d.derive_keys(secret, session, fingerprint)
    own, other = (up, down) if kind in (d.BEAT, d.BYE) else (down, up)
    opened = d.Ends(session, other, own).open(wire, (kind,))
    assert opened is not None and opened[0] == kind, path
    if kind == d.BEAT:
        seen, echo, vitals = d.read_beat(opened[1])
        assert seen == fields["seen"] and binascii.hexlify(echo).decode() == fields["echo"], path
        assert vitals == fields["vitals"], path
        said = Vitals()
        said.__dict__.update(fields["vitals"])
        body = d.write_beat(seen, echo, d.write_vitals(said))
    elif kind == d.BYE:
        echo, ended, status, source = d.read_bye(opened[1])
        assert (ended, status, source) == (fields["ended"], fields["status"], fields["source"]), path
        body = d.write_bye(fields["seen"], echo, ended, status, source)
    elif kind == d.ACK:
        pending, challenge, interval, again = d.read_ack(opened[1])
        assert (pending, interval) == (fields["pending"], fields["interval"]), path
        assert again == fields.get("again", 0.0), path
        body = d.write_ack(pending, challenge, interval, again)
    else:
        assert d.read_wake(opened[1]) == fields["pending"], path
        body = d.write_wake(fields["pending"])
    assert d.Ends(session, own, other, counter=golden["counter"] - 1).seal(kind, body) == wire, path
"""


class Figures:
    """A beat's vitals."""

    at, cpu_percent, rss_bytes, memory_limit, processes = 1.7e9, 12.5, 2**30, None, 2
    state, output_bytes, output_at, oom_kills = "R", 5, 1.7e9, 0


def ends(session: bytes = b"session1") -> tuple[Ends, Ends]:
    """An agent's end and the server's."""
    up, down = datagrams.derive_keys(bytes(32), session, b"fingerprint")
    return Ends(session, up, down), Ends(session, down, up)


def a_beat(agent: Ends) -> bytes:
    return agent.seal(BEAT, datagrams.write_beat(0, bytes(8), datagrams.write_vitals(Figures)))


def test_every_type_of_datagram_has_a_golden_file() -> None:
    assert {getattr(datagrams, json.loads(path.read_text())["type"]) for path in GOLDEN} == set(ALL)


@pytest.mark.parametrize("python", PYTHONS, ids=lambda python: python.version)
def test_golden_datagrams_are_read_and_written_alike(python: Any) -> None:
    command = [python.path, "-I", "-S", "-W", "error", "-c", SCRIPT, str(AGENT), *map(str, GOLDEN)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")


def test_no_datagram_is_longer_than_a_beat_may_be_and_no_answer_than_what_it_answers() -> None:
    sizes = {json.loads(path.read_text())["type"]: len(json.loads(path.read_text())["bytes"]) // 2 for path in GOLDEN}

    assert max(sizes.values()) <= LONGEST
    assert sizes["ACK"] <= min(sizes["BEAT"], sizes["BYE"])


def test_a_datagram_is_taken_once_and_by_the_other_end_alone() -> None:
    agent, server = ends()
    _, stranger = ends(b"session2")
    beat = a_beat(agent)

    assert agent.open(beat, ALL) is None  # turned round
    assert stranger.open(beat, ALL) is None  # another session
    assert server.open(beat, (WAKE,)) is None  # not expected here
    assert server.open(beat, ALL) is not None
    assert server.open(beat, ALL) is None  # repeated


def test_a_session_is_of_no_use_with_another_credential() -> None:
    keys = [datagrams.derive_keys(bytes(32), b"session1", name) for name in (b"one", b"other")]

    assert len({key for pair in keys for key in pair}) == 4


@given(st.integers(0, LONGEST), st.integers(0, 7))
def test_a_datagram_with_one_bit_changed_or_cut_is_nothing(place: int, bit: int) -> None:
    agent, server = ends()
    beat = bytearray(a_beat(agent))
    if place < len(beat):
        changed = bytes(beat[:place]) + bytes([beat[place] ^ 1 << bit]) + bytes(beat[place + 1 :])
        assert server.open(changed, ALL) is None
        assert server.open(bytes(beat[:place]), ALL) is None
    assert server.open(bytes(beat), ALL) is not None


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_nothing(noise: bytes) -> None:
    assert ends()[1].open(noise, ALL) is None


def test_a_newer_peers_longer_body_is_read_as_far_as_it_is_known() -> None:
    agent, server = ends()
    body = datagrams.write_beat(3, b"12345678", datagrams.write_vitals(Figures))

    opened = server.open(agent.seal(BEAT, body + b"more to come"), ALL)

    assert opened is not None
    assert datagrams.read_beat(opened[1])[0] == 3
    assert server.open(agent.seal(BEAT, body[:-1]), ALL) is None


@given(st.lists(st.integers(1, 3 * WINDOW), max_size=60), st.integers(0, 50))
def test_the_window_takes_each_counter_once_unless_it_is_too_old(counters: list[int], start: int) -> None:
    window, taken, highest = Window(start), set(range(start + 1)), start
    for counter in counters:
        expected = counter not in taken and counter > highest - WINDOW

        assert window.is_new(counter) == expected
        if expected:
            window.take(counter)
            taken.add(counter)
            highest = max(highest, counter)


def test_figures_beyond_their_fields_are_cut_and_unknown_ones_stay_unknown() -> None:
    class Odd(Figures):
        cpu_percent, rss_bytes, processes, state, output_at = 1e12, 2**80, -5, None, None

    vitals = datagrams.read_beat(datagrams.write_beat(0, bytes(8), datagrams.write_vitals(Odd)))[2]

    assert vitals["cpu_percent"] == (2**32 - 1) * 0.01
    assert (vitals["rss_bytes"], vitals["processes"]) == (2**64 - 1, 0)
    assert (vitals["state"], vitals["output_at"]) == (None, None)


def test_vitals_that_hold_later_differ_in_their_moment_alone() -> None:
    before = datagrams.write_vitals(Figures)
    later = datagrams.renew_vitals(before, Figures.at + 1234.5)

    old, new = (datagrams.read_beat(datagrams.write_beat(0, bytes(8), vitals))[2] for vitals in (before, later))

    assert new["at"] == pytest.approx(Figures.at + 1234.5)
    assert new == old | {"at": new["at"]}


# What a window must do, as the self-test of WireGuard's asks it (drivers/net/wireguard/selftest/counter.c), for 64
# counters: each counter, and whether it is taken.
LIMIT = 2**64 - 1
VECTORS = {
    "the first one, and again": [(1, True), (1, False)],
    "in order": [(1, True), (2, True), (2, False), (3, True), (3, False), (1, False)],
    "out of order within the window": [(9, True), (8, True), (7, True), (7, False), (8, False), (9, False), (6, True)],
    "the last that fits, and the first that does not": [(WINDOW + 1, True), (2, True), (1, False), (2, False)],
    "one step on, and the oldest falls out": [(WINDOW, True), (1, True), (WINDOW + 1, True), (1, False), (2, True)],
    "a jump by a whole window": [(1, True), (1 + WINDOW, True), (1, False), (2, True), (1 + WINDOW, False)],
    "a jump by more": [(1, True), (2, True), (2 + 3 * WINDOW, True), (2, False), (3 + 2 * WINDOW, True)],
    "a jump by one less": [(1, True), (WINDOW, True), (1, False), (2, True), (WINDOW, False)],
    "backwards over the window": [(3 * WINDOW, True), (2 * WINDOW + 1, True), (2 * WINDOW, False), (WINDOW, False)],
    "zero is no counter": [(0, False), (1, True), (0, False)],
    "far away and back": [(2**32, True), (1, False), (2**32 - WINDOW + 1, True), (2**32 - WINDOW, False)],
    "at the end of all counters": [(LIMIT - 1, True), (LIMIT, True), (LIMIT, False), (LIMIT - 1, False), (1, False)],
}


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS.keys())
def test_the_window_agrees_with_the_vectors(vector: list[tuple[int, bool]]) -> None:
    window = Window()

    for counter, expected in vector:
        assert window.is_new(counter) == expected, counter
        if expected:
            window.take(counter)


def test_every_permutation_of_a_window_is_taken_once() -> None:
    for step in (1, 3, 5, 7, 63):  # each goes round all 64
        window = Window()
        order = [1 + at * step % WINDOW for at in range(WINDOW)]
        for counter in order:
            assert window.is_new(counter)
            window.take(counter)

        assert not any(window.is_new(counter) for counter in range(WINDOW + 1))


def test_without_a_window_a_repeated_datagram_would_be_taken() -> None:
    agent, server = ends()
    beat = a_beat(agent)

    class Careless(Window):
        def is_new(self, counter: int) -> bool:
            return True

    assert server.open(beat, ALL) is not None
    assert server.open(beat, ALL) is None
    server._window = Careless()
    assert server.open(beat, ALL) is not None  # the tag alone does not tell


def test_figures_are_the_same_read_either_way() -> None:
    class Unknown(Figures):
        cpu_percent, processes, oom_kills, output_at, state = None, None, None, None, None

    for vitals in (Figures, Unknown):
        body = datagrams.write_beat(7, b"12345678", datagrams.write_vitals(vitals))
        seen, echo, said = datagrams.read_beat(body)

        assert datagrams.read_figures(body) == (seen, echo, tuple(said[name] for name in Vitals._fields[:-1]))


def test_a_state_that_is_no_letter_is_unknown() -> None:
    class Odd(Figures):
        state = "\x1b"

    assert datagrams.read_figures(datagrams.write_beat(0, bytes(8), datagrams.write_vitals(Odd)))[2][-1] is None
