"""What a job is, packed: attributes that take few bytes, as a server knows 100,000 jobs by heart.

A number of Python's takes 32 bytes and another 8 for the reference to it, and a
job has twenty; packed they take 129 together, at the end of ``job.packed``.
``Packed`` is an attribute that reads its place there and writes it anew.
``Noted`` is one that few jobs have.  What is not known is None.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable
from math import isnan
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

import msgspec

T = TypeVar("T")

# Every number with its code of ``struct``: what stays, what changes seldom, then what every beat brings.
_CODES = {
    "slot": "I",
    "line": "I",
    "source": "I",
    "renew": "I",
    "opened": "d",
    "state": "B",
    "health": "B",
    "callback": "B",
    "process_state": "B",
    "is_told": "B",
    "serial": "16s",
    "issued": "I",
    "expires": "I",
    "started": "d",
    "registered": "d",
    "epoch": "d",
    "last_seen": "d",
    "cpu_percent": "I",
    "rss_bytes": "d",
    "memory_limit": "d",
    "output_bytes": "d",
    "output_at": "d",
    "oom_kills": "i",
    "processes": "i",
}
_ORDER = tuple(_CODES)
LAYOUT = struct.Struct("<" + "".join(_CODES.values()))
_BEAT = struct.Struct("<" + "".join(_CODES[name] for name in _ORDER[_ORDER.index("cpu_percent") :]))
_SEEN = struct.Struct("<d" + _BEAT.format[1:])  # the moment of a beat stands before what it brings

# Beats by datagram are taken in by the thousand, so not attribute by attribute.
LASTING = slice(-_SEEN.size)  # what a beat leaves as it is
pack_beat = _SEEN.pack  # the rest, in its order
_JUDGED = struct.Struct("<BBBBx16xII")  # state, health, callback, process_state, issued, expires
JUDGED_AT = struct.calcsize("<" + "".join(_CODES[name] for name in _ORDER[: _ORDER.index("state")])) - LAYOUT.size
read_judged = _JUDGED.unpack_from  # of what is packed from JUDGED_AT on: what a beat is judged by
_UUID_BYTES = 16
read_slot = struct.Struct("<" + _CODES["slot"]).unpack_from  # of what is packed from SLOT_AT on
SLOT_AT = -LAYOUT.size
assert _ORDER[0] == "slot"

UNKNOWN = float("nan")
NO_SHARE = 2**32 - 1  # of hundredths of a percent; so is whatever is as large, which no node can have
NO_COUNT = -(2**31)
MOST = 2**31 - 1  # of a count; no node runs as many processes
LETTERS = bytes(code if chr(code).isalpha() else 0 for code in range(128)) + bytes(128)  # by code; 0: it is none
_LATEST = 2**32 - 1  # s since 1970, year 2106: no certificate of a job lasts as long


class Figures(NamedTuple):
    """What every beat brings, in the order it is packed."""

    cpu_percent: float | None = None
    rss_bytes: int | None = None
    memory_limit: int | None = None
    output_bytes: int | None = None
    output_at: float | None = None
    oom_kills: int | None = None
    processes: int | None = None


class Notes(msgspec.Struct, frozen=True, gc=False):
    """What few jobs have; a copy of a job may share it, so it is never changed."""

    health_reason: str | None = None
    ended: float | None = None
    exit: dict[str, Any] | None = None
    reason: str | None = None
    progress: str | None = None


NONE = Notes()


class Packed(Generic[T]):
    """An attribute that is one of the packed numbers."""

    def __init__(self, name: str, read: Callable[[Any], T], write: Callable[[T], Any]) -> None:
        self._at = struct.calcsize("<" + "".join(_CODES[each] for each in _ORDER[: _ORDER.index(name)])) - LAYOUT.size
        self._code = struct.Struct("<" + _CODES[name])
        self._end = (self._at + self._code.size) or None
        self._read = read
        self._write = write

    def __get__(self, job: Any, owner: Any = None) -> T:
        return self._read(self._code.unpack_from(job.packed, self._at)[0])

    def of(self, jobs: Iterable[Any]) -> list[T]:
        """The attribute of many jobs, at a fifth of the cost."""
        start, end = self._at, self._end
        parts = [job.packed[start:end] for job in jobs]
        numbers = struct.unpack(f"<{len(parts)}{self._code.format[1:]}", b"".join(parts))
        if self._read is known and not isnan(sum(numbers)):  # the usual order of a list
            return list(numbers)
        return list(map(self._read, numbers))

    def __set__(self, job: Any, value: T) -> None:
        part = self._code.pack(self._write(value))
        job.packed = job.packed[: self._at] + part + (job.packed[self._end :] if self._end else b"")


class PackedByte(Packed[T]):
    """An attribute that is packed in one byte, read at half the cost: some are looked at with each beat."""

    def __get__(self, job: Any, owner: Any = None) -> T:
        return self._read(job.packed[self._at])

    def tally(self, jobs: Iterable[Any]) -> dict[T, int]:
        """How many of the jobs have which value."""
        at = self._at
        found = Counter([job.packed[at] for job in jobs])
        return {self._read(byte): number for byte, number in found.items()}


class Noted(Generic[T]):
    """An attribute that few jobs have."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, job: Any, owner: Any = None) -> T:
        value: T = getattr(job.notes, self._name)
        return value

    def __set__(self, job: Any, value: T) -> None:
        if value != getattr(job.notes, self._name):
            notes = msgspec.structs.replace(job.notes, **{self._name: value})
            job.notes = notes if notes != NONE else NONE


def known(number: float) -> float | None:
    """A float that was packed, or None."""
    return number if number == number else None


def shared(hundredths: int) -> float | None:
    """A share in percent that was packed in hundredths, or None."""
    return None if hundredths == NO_SHARE else hundredths / 100


def whole(number: float) -> int | None:
    """An integer that was packed as a float, or None."""
    return int(number) if number == number else None


def counted(number: int) -> int | None:
    """A count that was packed, or None."""
    return None if number == NO_COUNT else number


def letter(code: int) -> str | None:
    """A letter that was packed, or None."""
    return chr(code) if code else None


def pack_names(job_id: str, uuid: str) -> bytes:
    """Id and uuid, which all begins with: a uuid as certificates have it takes 17 bytes."""
    try:
        packed = b"\1" + UUID(uuid).bytes
    except ValueError:
        packed = b""
    start = job_id.encode() + b"\0"
    is_exact = packed and uuid_of(start + packed) == uuid
    return start + (packed if is_exact else b"\0%b\0" % uuid.encode())


def uuid_of(packed: bytes) -> str:
    """The uuid."""
    start = packed.index(0) + 1
    if packed[start]:
        digits = packed[start + 1 : start + 1 + _UUID_BYTES].hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    return packed[start + 1 : packed.index(0, start + 1)].decode()


def end_of_names(packed: bytes) -> int:
    """Where id and uuid end."""
    start = packed.index(0) + 1
    return start + 1 + _UUID_BYTES if packed[start] else packed.index(0, start + 1) + 1


def number(name: str) -> Packed[float]:
    """A float that is always known."""
    return Packed(name, float, float)


def maybe(name: str) -> Packed[float | None]:
    """A float, or None."""
    return Packed(name, known, _float)


def integer(name: str) -> Packed[int]:
    """An integer within 2^53, as JSON has it."""
    return Packed(name, int, int)


def maybe_integer(name: str) -> Packed[int | None]:
    """An integer within 2^53, or None."""
    return Packed(name, whole, _float)


def share(name: str) -> Packed[float | None]:
    """Percent, to a hundredth, from 0 up to 42 million, or None."""
    return Packed(name, shared, _share)


def count(name: str) -> Packed[int | None]:
    """How many there are, or None."""
    return Packed(name, counted, _count)


def second(name: str) -> Packed[float]:
    """A whole second since 1970."""
    return Packed(name, float, lambda seconds: min(max(int(seconds), 0), _LATEST))


def flag(name: str) -> Packed[bool]:
    """Yes or no."""
    return PackedByte(name, bool, bool)


def choice(name: str, texts: tuple[str, ...]) -> Packed[str]:
    """One of a few texts."""
    return PackedByte(name, texts.__getitem__, texts.index)


def maybe_choice(name: str, texts: tuple[str | None, ...]) -> Packed[str | None]:
    """One of a few texts, the first of which is None."""
    return PackedByte(name, texts.__getitem__, texts.index)


def initial(name: str) -> Packed[str | None]:
    """One letter of ASCII, or None."""
    return PackedByte(name, letter, lambda text: ord(text) if text else 0)


def serial(name: str) -> Packed[str]:
    """The serial number of a certificate of ours, in 32 digits of lower hexadecimal; empty where there is none.

    Those have 128 bits, see ``jobmon_pki.authority``; a job's is looked up in the ledger before it is kept.
    """
    return Packed(name, _read_serial, lambda text: int(text or "0", 16).to_bytes(16, "big"))


def put_figures(packed: bytes, figures: Figures) -> bytes:
    """The bytes with the figures of a beat."""
    return packed[: -_BEAT.size] + _BEAT.pack(*_numbers(figures))


def put_beat(packed: bytes, last_seen: float, figures: Figures) -> bytes:
    """The bytes with the figures of a beat and its moment."""
    return packed[: -_SEEN.size] + _SEEN.pack(last_seen, *_numbers(figures))


def _numbers(figures: Figures) -> tuple[float, ...]:
    cpu_percent, rss_bytes, memory_limit, output_bytes, output_at, oom_kills, processes = figures
    return (  # a beat's way: no loop
        _share(cpu_percent),
        UNKNOWN if rss_bytes is None else rss_bytes,
        UNKNOWN if memory_limit is None else memory_limit,
        UNKNOWN if output_bytes is None else output_bytes,
        UNKNOWN if output_at is None else output_at,
        _count(oom_kills),
        _count(processes),
    )


def _float(value: float | None) -> float:
    return UNKNOWN if value is None else value


def _share(value: float | None) -> int:
    return NO_SHARE if value is None else int(max(0.0, min(value, NO_SHARE / 100)) * 100 + 0.5)


def _count(value: int | None) -> int:
    if value is None:
        return NO_COUNT
    return value if -MOST <= value <= MOST else max(min(value, MOST), -MOST)


def _read_serial(packed: bytes) -> str:
    value = int.from_bytes(packed, "big")
    return f"{value:032x}" if value else ""


# A job of which nothing is known yet.
FRESH = put_figures(
    LAYOUT.pack(0, 0, 0, 0, 0.0, 0, 0, 0, 0, 0, bytes(16), 0, 0, UNKNOWN, *(0.0,) * 3, 0, *(0.0,) * 4, 0, 0), Figures()
)
