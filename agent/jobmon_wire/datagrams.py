"""Datagrams: an agent's heartbeats, and the doorbell that wakes it, over UDP.

They authenticate everything, keep nothing secret and carry no command: a wake-up
only has the agent open its channel, and a heartbeat tells what anybody on the
node can see.  Every datagram is ``magic version type flags | session | counter |
body | tag``: a header of 20 bytes, and a tag of 16 by keyed BLAKE2s (RFC 7693)
over all before it, with a key for each direction::

    0      1        2     3      4            12           20       len - 16
    magic  version  type  flags  session (8)  counter u64  body     tag

Network byte order.  ``Ends`` is one end of a session; it holds keys, counts,
and refuses what is forged, turned round or repeated, in silence.  Nothing here
opens a socket or reads a clock, and little is imported: the idle agent is small.
"""

import struct

try:
    from _blake2 import blake2s  # hashlib would cost the idle agent 3.9 MB: it loads libcrypto
except ImportError:
    from hashlib import blake2s
from _operator import _compare_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple, Union

    Key = Union[bytes, bytearray]

BEAT = 1  # agent to server: seen, echo, vitals
ACK = 2  # server to agent, only in answer to a BEAT or a BYE, and never longer: pending, challenge, interval, again
WAKE = 3  # server to agent: pending
BYE = 4  # agent to server: the job has ended, and how

is_same = _compare_digest  # what hmac.compare_digest is: it takes as long for any two of a length

SESSION_BYTES = 8
SECRET_BYTES = 32
CHALLENGE_BYTES = 8
TAG_BYTES = 16  # a forger's chance is 2**-128 a try
LONGEST = 128  # bytes; a datagram of any size below is never split on the way
WINDOW = 64  # counters; as many datagrams may arrive out of order
ALL_TAKEN = 2**WINDOW - 1  # what a window has taken; bit n: the counter n below the highest

_MAGIC = 0x4A  # "J"
_VERSION = 1
_HEAD = struct.Struct("!BBBB8sQ")
HEAD_BYTES = _HEAD.size
SESSION = slice(4, 4 + SESSION_BYTES)  # where it stands in a datagram
read_start = struct.Struct("!IQQ").unpack_from  # of a header: four bytes that ``forms`` knows, session, counter
_NUMBER = struct.Struct("!Q")  # the end of the header
write_number = _NUMBER.pack
# person of the tag, by type: the same bytes of another type have another tag.
_PERSONS = {BEAT: b"jm1 beat", ACK: b"jm1 ack\0", WAKE: b"jm1 wake", BYE: b"jm1 bye\0"}

_BEAT_HEAD = struct.Struct("!Q8s")  # pending seen, challenge echoed
ECHO = slice(_BEAT_HEAD.size - CHALLENGE_BYTES, _BEAT_HEAD.size)  # where it stands in the body of a BEAT or a BYE
_VITALS = struct.Struct("!HcxIQQIIQQQ")
# Of a BEAT's body the vitals as they stand there, but for their moment: what is known, code of the state, figures.
read_numbers = struct.Struct("!%dxHBxIQQIIQQ" % _BEAT_HEAD.size).unpack_from
_ACK = struct.Struct("!Q8sII")  # pending, challenge, interval in ms, register again within ms
_WAKE = struct.Struct("!QQ")  # pending, reserved
_BYE = struct.Struct("!Q8sQIBxxx")  # pending seen, challenge echoed, ended in ms, wait status, source

# Shortest body by type.  A longer one is from a newer peer: what is behind the known fields is passed over.
_BODIES = {BEAT: _BEAT_HEAD.size + _VITALS.size, ACK: _ACK.size, WAKE: _WAKE.size, BYE: _BYE.size}

# Order of the sources of an exit status in a BYE.
SOURCES = ("unknown", "pidfd", "zombie", "wrap", "trap")

# Vitals in their order, with what a unit of the field on the wire is; None is sent as a cleared flag.
_FIELDS = (
    ("cpu_percent", 0.01),
    ("rss_bytes", 1),
    ("memory_limit", 1),
    ("processes", 1),
    ("oom_kills", 1),
    ("output_bytes", 1),
    ("output_at", 0.001),
    ("at", 0.001),
)
_LARGEST = (2**32 - 1, 2**64 - 1, 2**64 - 1, 2**32 - 1, 2**32 - 1, 2**64 - 1, 2**64 - 1, 2**64 - 1)
_LAYOUT = [(field, _LARGEST[at], 1 << at) for at, field in enumerate(_FIELDS)]


def derive_keys(secret: bytes, session: bytes, fingerprint: bytes) -> "Tuple[bytes, bytes]":
    """The keys of both directions, up and down.

    Args:
        secret: of the session, told over mutual TLS.
        session: its id.
        fingerprint: of the agent's certificate, any digest of it that both ends know: a session
            is of no use with another credential.
    """
    bound = session + fingerprint
    return (
        blake2s(bound, key=secret, person=b"jm1 up\0\0").digest(),
        blake2s(bound, key=secret, person=b"jm1 down").digest(),
    )


def is_new(highest: int, taken: int, counter: int) -> bool:
    """Whether a counter may still be taken, where ``highest`` and the bits of ``taken`` were."""
    age = highest - counter
    return age < 0 or (age < WINDOW and not taken >> age & 1)


def taken_after(highest: int, taken: int, counter: int) -> int:
    """The bits of what is taken when a counter is that ``is_new``; they count from the new highest one."""
    age = highest - counter
    if age >= 0:
        return taken | 1 << age
    return (taken << -age | 1) & ALL_TAKEN if age > -WINDOW else 1


class Window:
    """The counters of one direction that have been taken: each is taken once, the very old ones never."""

    __slots__ = ("highest", "_taken")

    def __init__(self, highest: int = 0) -> None:
        self.highest = highest
        self._taken = ALL_TAKEN  # nothing at or below a given start is taken

    def is_new(self, counter: int) -> bool:
        """Whether it may still be taken."""
        return is_new(self.highest, self._taken, counter)

    def take(self, counter: int) -> None:
        """Note that it was taken."""
        self._taken = taken_after(self.highest, self._taken, counter)
        self.highest = max(self.highest, counter)


class Ends:
    """One end of a session: seals what it sends, opens what the other end sent.

    Args:
        session: its id.
        own: key of the datagrams that this end sends.
        other: key of those it receives.
        counter: the number before the first that is sent.
        heard: the highest number that the other end had used before this end began to listen.
    """

    __slots__ = ("session", "counter", "_own", "_other", "_window")

    def __init__(self, session: bytes, own: bytes, other: bytes, counter: int = 0, heard: int = 0) -> None:
        self.session = session
        self._own = own
        self._other = other
        self.counter = counter  # of the last datagram that was sent
        self._window = Window(heard)

    @property
    def highest(self) -> int:
        """The highest number of the other end's that was taken."""
        return self._window.highest

    def seal(self, type_: int, body: bytes) -> bytes:
        """A datagram; no two are the same."""
        self.counter += 1
        return seal(self._own, type_, self.session, self.counter, body)

    def own_series(self, type_: int) -> "Series":
        """What this end sends of a type; who writes it counts on in ``counter``."""
        return Series(self.session, self._own, type_)

    def other_series(self, type_: int) -> "Series":
        """What the other end sends of a type."""
        return Series(self.session, self._other, type_)

    def take_to(self, number: int) -> None:
        """Note that the other end's datagrams up to this one were taken, or are not wanted any more."""
        if number > self._window.highest:
            self._window = Window(number)

    def open(self, datagram: bytes, expected: "Tuple[int, ...]") -> "Optional[Tuple[int, bytes]]":
        """Type and body of a genuine datagram that was not there before; None for anything else.

        Args:
            expected: types that this end takes.
        """
        head = read_head(datagram, expected)
        body = self.open_read(datagram, head) if head else None
        return None if head is None or body is None else (head[0], body)

    def open_read(self, datagram: bytes, head: "Tuple[int, bytes, int]") -> "Optional[bytes]":
        """As ``open``, of a datagram whose head was read by ``read_head``: its body."""
        type_, session, counter = head
        if session != self.session or not self._window.is_new(counter):
            return None
        body = read_body(self._other, type_, datagram)
        if body is not None:
            self._window.take(counter)
        return body


class Series:
    """What all datagrams of one type from one end have in common.

    The datagram of a number is ``start``, the number by ``write_number``, the
    body, and a tag: the digest of a copy of ``tag`` after all before.

    Args:
        session: its id.
        key: of the direction.
        type_: of the datagrams.
    """

    __slots__ = ("start", "tag")

    def __init__(self, session: bytes, key: bytes, type_: int) -> None:
        self.start = _HEAD.pack(_MAGIC, _VERSION, type_, 0, session, 0)[: -_NUMBER.size]
        self.tag: "Any" = blake2s(key=key, digest_size=TAG_BYTES, person=_PERSONS[type_])


def seal(key: "Key", type_: int, session: bytes, counter: int, body: bytes) -> bytes:
    """A datagram under a key; the counter was never used with it."""
    content = _HEAD.pack(_MAGIC, _VERSION, type_, 0, session, counter) + body
    return content + blake2s(content, key=key, digest_size=TAG_BYTES, person=_PERSONS[type_]).digest()


def read_body(key: "Key", type_: int, datagram: bytes) -> "Optional[bytes]":
    """The body of what has the form of a datagram; None where it was not sealed with the key."""
    tag = blake2s(datagram[:-TAG_BYTES], key=key, digest_size=TAG_BYTES, person=_PERSONS[type_])
    if not is_same(tag.digest(), datagram[-TAG_BYTES:]):
        return None
    return datagram[HEAD_BYTES:-TAG_BYTES]


def forms(types: "Tuple[int, ...]") -> "Dict[int, Tuple[int, int]]":
    """By the first four bytes that datagrams of these types have: their type, and the fewest bytes of one."""
    begun = {_MAGIC << 24 | _VERSION << 16 | type_ << 8: type_ for type_ in types}
    return {start: (type_, HEAD_BYTES + _BODIES[type_] + TAG_BYTES) for start, type_ in begun.items()}


def read_head(datagram: bytes, expected: "Tuple[int, ...]") -> "Optional[Tuple[int, bytes, int]]":
    """Type, session and counter of what has the form of a datagram; None for anything else."""
    length = len(datagram)
    if not HEAD_BYTES + TAG_BYTES < length <= LONGEST:
        return None
    magic, version, type_, flags, session, counter = _HEAD.unpack_from(datagram)
    if magic != _MAGIC or version != _VERSION or flags or type_ not in expected:
        return None
    if length < HEAD_BYTES + _BODIES[type_] + TAG_BYTES:
        return None
    return type_, session, counter


def write_beat(seen: int, echo: bytes, vitals: bytes) -> bytes:
    """The body of a BEAT.

    Args:
        seen: level of requests that the agent has fetched.
        echo: the server's last challenge.
        vitals: as ``write_vitals`` made them.
    """
    return _BEAT_HEAD.pack(seen, echo) + vitals


def renew_vitals(written: bytes, at: float) -> bytes:
    """The vitals of a BEAT that hold at a later moment (s since 1970), too."""
    return written[: -_NUMBER.size] + write_number(int(at * 1000))


def write_vitals(vitals: "Any") -> bytes:
    """The vitals of a BEAT, of an object with the fields of ``records.Vitals``, None where unknown."""
    known, values = 0, []
    for (name, unit), largest, bit in _LAYOUT:  # once a minute in each idle agent, for as little as may be
        value = getattr(vitals, name)
        if value is None:
            value = 0
        else:
            known |= bit
            value = int(value) if unit == 1 else int(value / unit + 0.5)
            if not 0 <= value <= largest:
                value = 0 if value < 0 else largest
        values.append(value)
    state = (vitals.state or "?").encode("ascii", "replace")[:1]
    return _VITALS.pack(known, state, *values)


def read_beat(body: bytes) -> "Tuple[int, bytes, Dict[str, Any]]":
    """Level seen, challenge echoed, and the vitals as a document of ``records.Vitals``."""
    seen, echo = _BEAT_HEAD.unpack_from(body)
    known, state, *values = _VITALS.unpack_from(body, _BEAT_HEAD.size)
    vitals: "Dict[str, Any]" = {"state": None if state == b"?" else state.decode("ascii", "replace")}
    for at, (name, unit) in enumerate(_FIELDS):
        vitals[name] = (values[at] * unit if unit < 1 else values[at]) if known >> at & 1 else None
    return seen, echo, vitals


def read_figures(body: bytes) -> "Tuple[int, bytes, Tuple[Any, ...]]":
    """As ``read_beat``, the vitals as the fields of ``records.Vitals`` in their order: a third of the time."""
    seen, echo = _BEAT_HEAD.unpack_from(body)
    known, state, cpu, rss, limit, processes, kills, output, output_at, at = _VITALS.unpack_from(body, _BEAT_HEAD.size)
    figures = (
        at * 0.001 if known & 128 else 0.0,
        cpu * 0.01 if known & 1 else None,
        rss if known & 2 else None,
        processes if known & 8 else None,
        output if known & 32 else None,
        output_at * 0.001 if known & 64 else None,
        limit if known & 4 else None,
        kills if known & 16 else None,
        state.decode("ascii") if state.isalpha() else None,
    )
    return seen, echo, figures


def write_ack(pending: int, challenge: "Union[bytes, bytearray]", interval: float, again: float = 0.0) -> bytes:
    """The body of an ACK.

    Args:
        pending: level of requests.
        challenge: of the address it goes to.
        interval: s between beats.
        again: s within which the agent shall register again; 0: it need not.
    """
    return _ACK.pack(pending, challenge, int(interval * 1000), int(again * 1000))


def read_ack(body: bytes) -> "Tuple[int, bytes, float, float]":
    """Level of requests, challenge, seconds between beats, and within which to register again (0: no need)."""
    pending, challenge, interval, again = _ACK.unpack_from(body)
    return pending, challenge, interval / 1000.0, again / 1000.0


def write_wake(pending: int) -> bytes:
    """The body of a WAKE: level of requests."""
    return _WAKE.pack(pending, 0)


def read_wake(body: bytes) -> int:
    """Level of requests."""
    return int(_WAKE.unpack_from(body)[0])


def write_bye(seen: int, echo: bytes, ended: float, status: int, source: str) -> bytes:
    """The body of a BYE.

    Args:
        seen: level of requests that the agent has fetched.
        echo: the server's last challenge.
        ended: s since 1970.
        status: as wait() tells it.
        source: how it is known, one of ``SOURCES``; with "unknown" the status means nothing.
    """
    return _BYE.pack(seen, echo, int(ended * 1000), status, SOURCES.index(source))


def read_bye(body: bytes) -> "Tuple[bytes, float, int, str]":
    """Challenge echoed, moment of the end, wait status, and how that is known."""
    _, echo, ended, status, source = _BYE.unpack_from(body)
    return echo, ended / 1000.0, status, SOURCES[source] if source < len(SOURCES) else "unknown"
