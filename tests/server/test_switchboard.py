"""A line of the switchboard is an end of a session: it takes and sends what ``datagrams.Ends`` does, and no more."""

import random

import pytest

from jobmon_server.switchboard import BURST, NONE, RATE, Switchboard
from jobmon_wire import datagrams
from jobmon_wire.datagrams import ACK, BEAT, Ends
from tests.server.house import a_job

BODY = datagrams.write_beat(0, bytes(8), bytes(60))
BASE = 1000


def keys(number: int) -> tuple[bytes, bytes, bytes]:
    """Session and the keys up and down."""
    session = number.to_bytes(8, "big")
    return session, *datagrams.derive_keys(bytes(32), session, bytes(32))


@pytest.fixture
def board() -> Switchboard:
    """An empty one."""
    return Switchboard(BASE)


def taken(board: Switchboard, line: int, beat: bytes, now: float = 1.0) -> bytes | None:
    """What the line makes of a beat at a moment."""
    head = datagrams.read_head(beat, (BEAT,))
    assert head is not None
    return board.take(line, head[0], head[2], beat, now)


def test_a_line_takes_what_the_other_end_of_any_session_takes(board: Switchboard) -> None:
    draw = random.Random(3)
    session, up, down = keys(1)
    line, model = board.open(a_job("u-1"), session, up, down, 100), Ends(session, down, up, heard=100)
    sender = Ends(session, up, down)

    for now in range(2000):
        sender.counter = max(0, model.highest + draw.randrange(-80, 4))
        beat = sender.seal(BEAT, BODY)
        opened = model.open(beat, (BEAT,))
        assert taken(board, line, beat, float(now)) == (opened and opened[1])
        assert board.highest[line] == model.highest


def test_what_is_sent_has_counters_above_the_base_and_the_key_of_its_direction(board: Switchboard) -> None:
    session, up, down = keys(1)
    line = board.open(a_job("u-1"), session, up, down, 0)
    board.base = 2 * BASE  # as when the clock was found set back

    sent = [board.seal(line, session, ACK, datagrams.write_ack(0, bytes(8), 25.0)) for _ in range(2)]

    agent = Ends(session, up, down, heard=2 * BASE)
    assert all(agent.open(each, (ACK,)) for each in sent)
    assert board.counter(line) == agent.highest == 2 * BASE + 2


def test_a_line_that_is_given_anew_knows_nothing_of_the_session_before(board: Switchboard) -> None:
    session, up, down = keys(1)
    line = board.open(a_job("u-1"), session, up, down, 7)
    board.heard[line] = board.end[line] = 9
    board.move(line, ("192.0.2.1", 1), b"asked1st")
    assert taken(board, line, Ends(session, up, down, 99).seal(BEAT, BODY)) == BODY
    old = Ends(session, up, down, 8).seal(BEAT, BODY)
    spoken = [taken(board, line, Ends(session, up, down, 100 + at).seal(BEAT, BODY)) for at in range(11)]
    assert spoken[-1] is None  # no more may come in this moment
    board.seal(line, session, ACK, bytes(24))
    board.close(line)
    assert board.find(1) == NONE
    assert bytes(board._keys).strip(b"\0") == b""

    other, *others = keys(2)
    again = board.open(a_job("u-2"), other, *others, 50)

    assert (again, len(board), [job.uuid for job in board]) == (line, 1, ["u-2"])
    assert (board.heard[line], board.end[line], board.highest[line]) == (0, 0, 50)
    assert (board.address(line), board.counter(line)) == (None, BASE)
    assert board.find(2) == line
    assert taken(board, line, old) is None
    assert taken(board, line, Ends(other, *others, 48).seal(BEAT, BODY)) is None
    assert taken(board, line, Ends(other, *others, 50).seal(BEAT, BODY)) == BODY


@pytest.mark.parametrize("address", [("192.0.2.1", 65535), ("2001:db8::1", 7, 0, 0), ("fe80::1", 7, 0, 2)])
def test_an_address_of_either_family_is_kept_whole(board: Switchboard, address: tuple[object, ...]) -> None:
    line = board.open(a_job("u-1"), *keys(1), 0)

    assert board.address(line) is None
    board.move(line, ("192.0.2.9", 1), b"asked1st")
    board.move(line, address, b"asked2nd")

    assert board.address(line) == address


@pytest.mark.parametrize("address", [("192.0.2.1", 7), ("2001:db8::1", 7, 0, 0), ("fe80::1", 7, 0, 2)])
def test_a_challenge_is_remembered_for_the_very_address_and_as_long_as_the_line_is_the_same(
    board: Switchboard, address: tuple[object, ...]
) -> None:
    line, other = board.open(a_job("u-1"), *keys(1), 0), board.open(a_job("u-2"), *keys(2), 0)

    assert board.challenge(line, address) is None
    board.move(line, address, b"answered")

    assert board.challenge(line, address) == b"answered"
    assert board.challenge(other, address) is None
    host, port, *rest = address
    for elsewhere in ((host, 8, *rest), ("192.0.2.9", port), ("2001:db8::9", port, 0, 0), ("fe80::1", 7, 0, 3)):
        assert board.challenge(line, elsewhere) is None
    board.close(line)
    assert bytes(board._challenges).strip(b"\0") == b""
    assert board.open(a_job("u-3"), *keys(3), 0) == line
    assert board.challenge(line, address) is None


def test_a_line_is_heard_with_so_many_at_once_and_then_at_its_rate(board: Switchboard) -> None:
    session, up, down = keys(1)
    line, agent = board.open(a_job("u-1"), session, up, down, 0), Ends(session, up, down)

    at_once = sum(taken(board, line, agent.seal(BEAT, BODY), 5.0) is not None for _ in range(50))
    later = sum(taken(board, line, agent.seal(BEAT, BODY), 5.0 + at / 50) is not None for at in range(1, 501))

    assert BURST - 1 <= at_once <= BURST  # fifths of a second are no exact numbers
    assert at_once + later == BURST + 10 * RATE
