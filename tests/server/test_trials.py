"""A node may try whether datagrams pass: a bounded number of short answers, which change nothing."""

from jobmon_server import trials
from jobmon_server.trials import ANSWERS, LIFE, MOST, Trials
from jobmon_wire import datagrams
from jobmon_wire.datagrams import ACK, BEAT, Ends
from jobmon_wire.records import Vitals

FINGERPRINT = "ab" * 32
BODY = datagrams.write_beat(0, bytes(8), datagrams.write_vitals(Vitals(1.0, None, None, None, None, None)))


def begin(tried: Trials, fingerprint: str = FINGERPRINT) -> Ends:
    """A trial's other end."""
    session, secret = tried.open(fingerprint)
    up, down = datagrams.derive_keys(secret, session, bytes.fromhex(fingerprint))
    return Ends(session, up, down)


def test_each_beat_of_a_trial_has_one_answer_that_is_not_longer() -> None:
    tried = Trials(lambda: 0.0)
    ends = begin(tried)

    for _ in range(ANSWERS):
        beat = ends.seal(BEAT, BODY)
        answer = tried.answer(beat)
        assert answer is not None
        assert len(answer) <= len(beat)
        assert ends.open(answer, (ACK,)) == (ACK, trials.NOTHING)
        assert tried.answer(beat) is None  # the same again
    assert tried.answer(ends.seal(BEAT, BODY)) is None


def test_nobody_but_the_holder_of_the_key_is_answered() -> None:
    tried = Trials(lambda: 0.0)
    ends, other = begin(tried), begin(tried, "cd" * 32)
    beat = ends.seal(BEAT, BODY)
    stranger = Ends(ends.session, bytes(32), bytes(32))

    assert tried.answer(stranger.seal(BEAT, BODY)) is None
    assert tried.answer(beat[:-1] + bytes([beat[-1] ^ 1])) is None
    assert tried.answer(b"") is None
    assert tried.answer(Ends(bytes(8), *datagrams.derive_keys(bytes(32), bytes(8), bytes(32))).seal(BEAT, BODY)) is None
    assert tried.answer(beat) is not None
    assert tried.answer(other.seal(BEAT, BODY)) is not None


def test_a_trial_ends_by_itself_and_the_oldest_gives_way() -> None:
    now = [0.0]
    tried = Trials(lambda: now[0])
    first = begin(tried)
    last = [begin(tried) for _ in range(MOST)][-1]

    assert tried.answer(first.seal(BEAT, BODY)) is None
    assert tried.answer(last.seal(BEAT, BODY)) is not None
    now[0] = LIFE + 1
    assert tried.answer(last.seal(BEAT, BODY)) is None
